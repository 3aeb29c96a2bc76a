"""What the layout folder promises beyond every registry's promise: the format, atomicity, repair, collection."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import (
    Artifact,
    Descriptor,
    ModelyardError,
    NotFound,
    Platform,
    StoreDamaged,
    Unavailable,
    UserError,
)
from modelyard_registry.layout import OciLayoutRegistry, index
from modelyard_registry.layout.folder import Layout
from modelyard_registry.layout.index import Index
from modelyard_registry.manifests import INDEX_TYPE

from plugins.registry.tests.layout.pushing import REPOSITORY, TYPE, blob_files, hex_of, push, read, run

SIZELESS = b'{"manifests": [{"mediaType": "t", "digest": "d", "size": 1e999}]}'


def test_the_folder_is_an_image_layout_as_other_tools_read_it(registry: OciLayoutRegistry):
    pushed = run(push(registry, b"weights"))
    assert json.loads((registry.root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    document = json.loads((registry.root / "index.json").read_text())
    assert document["schemaVersion"] == 2
    (entry,) = document["manifests"]
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "models/digits:1"}
    assert entry["digest"] == pushed.digest
    manifest = json.loads(registry.layout.blob(pushed.digest).read_bytes())
    assert manifest["artifactType"] == TYPE
    for named in (manifest["config"], *manifest["layers"], entry):
        content = registry.layout.blob(named["digest"]).read_bytes()
        assert len(content) == named["size"]
        assert named["digest"] == f"sha256:{hex_of(content)}"


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo, the tool other people use")
def test_skopeo_copies_an_artifact_out_of_it_with_every_digest_checked(
    registry: OciLayoutRegistry, tmp_path: Path
):
    pushed = run(push(registry, b"weights"))
    copied = tmp_path / "copied"
    command = [
        "skopeo",
        "--insecure-policy",
        "copy",
        f"oci:{registry.root}:{REPOSITORY}:1",
        f"oci:{copied}:1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    for digest in (pushed.digest, f"sha256:{hex_of(b'weights')}"):
        assert (copied / "blobs/sha256" / digest.removeprefix("sha256:")).exists()


def test_an_image_of_several_platforms_is_resolved_for_each(registry: OciLayoutRegistry):
    amd64, arm64 = (run(push(registry, kind)) for kind in (b"amd64", b"arm64"))
    put_index(registry, amd64=amd64, arm64=arm64)
    chosen = run(registry.resolve_platform("base/python", "3", Platform("linux", "arm64")))
    assert chosen.digest == arm64.digest
    artifact = run(registry.pull("base/python", chosen.digest))
    assert run(read(registry, artifact.layers[0].digest)) == b"arm64"
    with pytest.raises(NotFound, match="was not built for linux/riscv64"):
        run(registry.resolve_platform("base/python", "3", Platform("linux", "riscv64")))
    with pytest.raises(NotFound):
        run(registry.pull("base/another", chosen.digest))


def test_a_damaged_image_index_does_no_harm_to_what_is_beside_it(registry: OciLayoutRegistry):
    amd64 = run(push(registry, b"amd64"))
    put_index(registry, amd64=amd64)
    several = run(registry.resolve("base/python", "3"))
    registry.layout.blob(several.digest).write_bytes(b"{")
    assert run(registry.resolve(REPOSITORY, "1")) == amd64
    for repository in ("base/python", REPOSITORY):
        with pytest.raises(NotFound):
            run(registry.resolve(repository, "absent"))
    with pytest.raises(StoreDamaged):
        run(registry.resolve_platform("base/python", "3", Platform("linux", "amd64")))


def put_index(registry: OciLayoutRegistry, **manifests: Descriptor) -> None:
    """Store an image index as another tool does, under base/python:3."""
    document = {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [
            {
                "mediaType": one.media_type,
                "digest": one.digest,
                "size": one.size,
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture, one in manifests.items()
        ],
    }
    digest, size = registry.layout.store(iter([json.dumps(document).encode()]))
    index = registry.layout.read_index()
    registry.layout.write_index(index.with_manifest("base/python", "3", Descriptor(INDEX_TYPE, digest, size)))


def test_reading_from_a_folder_that_does_not_exist_makes_nothing(registry: OciLayoutRegistry):
    with pytest.raises(NotFound):
        run(registry.resolve(REPOSITORY, "1"))
    assert not run(registry.has_blob(REPOSITORY, f"sha256:{hex_of(b'')}"))
    assert not registry.root.exists()


def test_a_damaged_blob_is_never_handed_out_and_the_next_push_mends_it(registry: OciLayoutRegistry):
    layer = run(registry.push_blob(REPOSITORY, b"weights", "application/octet-stream"))
    path = registry.layout.blob(layer.digest)
    path.write_bytes(b"WEIGHTS")
    assert not run(registry.has_blob(REPOSITORY, layer.digest))
    with pytest.raises(StoreDamaged) as caught:
        run(read(registry, layer.digest))
    assert caught.value.place == str(path)
    assert caught.value.remedy
    run(registry.push_blob(REPOSITORY, b"weights", "application/octet-stream"))
    assert run(read(registry, layer.digest)) == b"weights"


@pytest.mark.parametrize("wrong", [b"{", b"[]", b'{"config": 1}', None])
def test_a_damaged_manifest_names_its_file(registry: OciLayoutRegistry, wrong: bytes | None):
    pushed = run(push(registry, b"weights"))
    path = registry.layout.blob(pushed.digest)
    path.unlink()
    if wrong is not None:
        path.write_bytes(wrong)
    with pytest.raises(StoreDamaged) as caught:
        run(registry.pull(REPOSITORY, "1"))
    assert caught.value.place == str(path)


@pytest.mark.parametrize("wrong", [b"", b"{", b"[]", b'{"manifests": [1]}', b'{"manifests": [{}]}', SIZELESS])
def test_a_damaged_index_names_its_file_and_is_left_as_it_is(registry: OciLayoutRegistry, wrong: bytes):
    run(push(registry, b"weights"))
    registry.layout.index_file.write_bytes(wrong)
    for work in (registry.resolve(REPOSITORY, "1"), push(registry, b"new"), registry.delete(REPOSITORY, "1")):
        with pytest.raises(StoreDamaged) as caught:
            run(work)
        assert caught.value.place == str(registry.layout.index_file)
        assert caught.value.remedy
    assert registry.layout.index_file.read_bytes() == wrong


def test_a_vanished_index_is_damage_and_not_an_empty_store(registry: OciLayoutRegistry):
    run(push(registry, b"weights"))
    registry.layout.index_file.unlink()
    with pytest.raises(StoreDamaged, match="missing"):
        run(registry.resolve(REPOSITORY, "1"))


def test_a_layout_of_another_version_is_refused(registry: OciLayoutRegistry):
    run(push(registry, b"weights"))
    (registry.root / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}')
    with pytest.raises(StoreDamaged, match=r"1\.0\.0"):
        run(registry.resolve(REPOSITORY, "1"))


def test_a_creation_that_was_cut_short_is_finished(registry: OciLayoutRegistry):
    run(push(registry, b"weights"))
    (registry.root / "oci-layout").unlink()
    run(push(registry, b"more", tag="2"))
    assert run(registry.pull(REPOSITORY, "1")).layers[0].digest == f"sha256:{hex_of(b'weights')}"


def test_a_folder_that_somebody_is_making_is_no_damage(registry: OciLayoutRegistry):
    pushed = run(push(registry, b"weights"))
    (registry.root / "oci-layout").unlink()
    assert run(registry.resolve(REPOSITORY, "1")) == pushed


def test_a_folder_that_is_made_while_it_is_read_is_no_damage(
    registry: OciLayoutRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = OciLayoutRegistry(tmp_path / "made")
    pushed = run(push(made, b"weights"))
    look = Layout._is_marked

    def looked_at_too_early(layout: Layout) -> bool:
        seen = look(layout)
        shutil.copytree(made.root, registry.root)
        return seen

    monkeypatch.setattr(Layout, "_is_marked", looked_at_too_early)
    assert run(registry.resolve(REPOSITORY, "1")) == pushed


def _push_many(root: Path, writer: int, start: object) -> None:
    registry = OciLayoutRegistry(root)
    start.wait()  # type: ignore[attr-defined]  # an Event has no public type
    for number in range(8):
        run(push(registry, f"{writer}-{number}".encode(), tag=f"{writer}-{number}"))
        run(push(registry, b"shared", tag="latest"))


def test_processes_that_push_at_once_lose_no_tag(tmp_path: Path):
    spawn = multiprocessing.get_context("fork")
    start = spawn.Event()
    writers = [spawn.Process(target=_push_many, args=(tmp_path / "r", n, start)) for n in range(3)]
    for writer in writers:
        writer.start()
    start.set()
    for writer in writers:
        writer.join(30)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    registry = OciLayoutRegistry(tmp_path / "r")
    for writer in range(3):
        for number in range(8):
            (layer,) = run(registry.pull(REPOSITORY, f"{writer}-{number}")).layers
            assert run(read(registry, layer.digest)) == f"{writer}-{number}".encode()


@pytest.mark.parametrize("repository", ["", "/", "../x", "Models", "a//b", "a/../b", "a:b", "x" * 300])
def test_a_repository_name_cannot_leave_its_place(registry: OciLayoutRegistry, repository: str):
    with pytest.raises(UserError):
        run(registry.resolve(repository, "1"))


@pytest.mark.parametrize(
    "reference", ["", ".x", "a/b", "sha256:../../x", "sha256:ABC", "md5:0", "x" * 129, "1\n"]
)
def test_a_reference_cannot_leave_its_place(registry: OciLayoutRegistry, reference: str):
    with pytest.raises(UserError):
        run(registry.pull(REPOSITORY, reference))


def test_a_folder_that_cannot_be_written_is_told_with_its_remedy(tmp_path: Path):
    (tmp_path / "file").write_text("")
    registry = OciLayoutRegistry(tmp_path / "file" / "registry")
    with pytest.raises(Unavailable) as caught:
        run(registry.push_blob(REPOSITORY, b"x", TYPE))
    assert str(tmp_path / "file") in caught.value.place
    assert "MODELYARD_REGISTRY_ROOT" in caught.value.remedy


def test_the_folder_is_its_owners_alone(registry: OciLayoutRegistry):
    run(push(registry, b"weights"))
    assert registry.root.stat().st_mode & 0o777 == 0o700


def test_a_source_that_is_not_there_is_the_callers_to_mend(registry: OciLayoutRegistry, tmp_path: Path):
    with pytest.raises(UserError) as caught:
        run(registry.push_blob(REPOSITORY, tmp_path / "absent", TYPE))
    assert caught.value.place == str(tmp_path / "absent")


def test_a_full_disk_changes_nothing_and_says_so(
    registry: OciLayoutRegistry, monkeypatch: pytest.MonkeyPatch
):
    run(push(registry, b"weights"))
    index_before, files_before = registry.layout.index_file.read_bytes(), blob_files(registry)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for work in (registry.push_blob(REPOSITORY, b"more", TYPE), registry.delete(REPOSITORY, "1")):
        with pytest.raises(Unavailable, match="full") as caught:
            run(work)
        assert caught.value.place == str(registry.root)
    assert registry.layout.index_file.read_bytes() == index_before
    assert blob_files(registry) == files_before


def test_a_layer_of_another_size_than_the_manifest_says_is_refused(registry: OciLayoutRegistry):
    layer = run(registry.push_blob(REPOSITORY, b"weights", TYPE))
    wrong = Descriptor(layer.media_type, layer.digest, layer.size + 1)
    with pytest.raises(ModelyardError, match="7 bytes"):
        run(registry.push(REPOSITORY, Artifact(TYPE, (wrong,)), tag="1"))


NAMES = st.sampled_from(["models/a", "models/b"])
TAGS = st.sampled_from(["", "1", "2"])
MANIFESTS = st.sampled_from([Descriptor("t", f"sha256:{letter * 64}", 3) for letter in "abc"])


@given(moves=st.lists(st.tuples(NAMES, TAGS, MANIFESTS), max_size=12))
def test_the_index_remembers_every_push_and_survives_its_own_file(
    moves: list[tuple[str, str, Descriptor]],
):
    found = Index()
    for repository, tag, manifest in moves:
        found = found.with_manifest(repository, tag, manifest)
        assert found.find(repository, tag or manifest.digest) == manifest
    for repository, _, manifest in moves:
        assert found.find(repository, manifest.digest) == manifest
    assert index.decode(index.encode(found)) == found
    for repository, _, manifest in moves:
        found = found.without(repository, manifest.digest)
    assert found == Index()
