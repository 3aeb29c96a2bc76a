"""Models and code travel through a registry and come back byte for byte."""

import asyncio
import hashlib
import io
import re
import tarfile
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import (
    Artifact,
    Descriptor,
    ModelRef,
    NotFound,
    SnapshotError,
    SnapshotLimits,
    SystemError_,
    Unavailable,
)
from modelyard.packaging import (
    materialise,
    materialise_models,
    restore_models,
    store_code,
    store_models,
    take_model,
    take_snapshot,
)
from modelyard.packaging.artifacts import TITLE, model_repository


@attrs.define
class Shelf:
    """A registry in memory, as far as artifacts need one."""

    blobs: dict[str, bytes] = attrs.field(factory=dict)
    manifests: dict[tuple[str, str], Artifact] = attrs.field(factory=dict)

    async def push_blob(self, repository: str, source: Path | bytes, media_type: str):  # noqa: ARG002
        content = source if isinstance(source, bytes) else await asyncio.to_thread(source.read_bytes)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blobs[digest] = content
        return Descriptor(media_type, digest, len(content))

    async def push(self, repository: str, artifact: Artifact, *, tag: str = ""):
        assert all(layer.digest in self.blobs for layer in artifact.layers)
        self.manifests[repository, tag] = artifact
        return Descriptor("manifest", "sha256:" + "0" * 64, 1)

    async def pull(self, repository: str, reference: str):
        if (repository, reference) not in self.manifests:
            raise NotFound("no such artifact", place=f"{repository}:{reference}")
        return self.manifests[repository, reference]

    async def read_blob(self, repository: str, digest: str):  # noqa: ARG002
        yield self.blobs[digest][:3]
        yield self.blobs[digest][3:]


@pytest.fixture
def model(tmp_path: Path):
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "weights.bin").write_bytes(bytes(range(256)))
    (tmp_path / "model" / "sub" / "labels.txt").write_text("cat\n")
    return ModelRef("digits", str(tmp_path / "model"), "4")


def stored(shelf: Shelf, model: ModelRef, tmp_path: Path):
    snapshot = take_model(Path(model.path))
    materialise_models([(model, snapshot)], tmp_path / "m", tmp_path / "sets")
    asyncio.run(store_models(shelf, model, snapshot, tmp_path / "m"))
    return snapshot


def test_a_model_comes_back_as_it_was(model: ModelRef, tmp_path: Path):
    shelf = Shelf()
    snapshot = stored(shelf, model, tmp_path)
    folder = asyncio.run(restore_models(shelf, "models/digits", "4", tmp_path / "other", tmp_path / "back"))
    assert take_model(folder).digest == snapshot.digest


def test_a_model_has_one_titled_layer_a_file(model: ModelRef, tmp_path: Path):
    shelf = Shelf()
    stored(shelf, model, tmp_path)
    layers = shelf.manifests["models/digits", "4"].layers
    assert [layer.annotations[TITLE] for layer in layers] == ["sub/labels.txt", "weights.bin"]


@attrs.define
class Slow(Shelf):
    """Takes a turn of the loop for each blob, and refuses those after the first few."""

    takes: int = 100
    begun: int = 0
    under_way: int = 0
    most: int = 0

    async def push_blob(self, repository: str, source: Path | bytes, media_type: str):
        self.begun += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.001)
        self.under_way -= 1
        if self.begun > self.takes:
            raise Unavailable("no more")
        return await super().push_blob(repository, source, media_type)


@pytest.fixture
def many(tmp_path: Path):
    (tmp_path / "many").mkdir()
    for number in range(40):
        (tmp_path / "many" / f"{number:02}").write_text(str(number))
    return ModelRef("many", str(tmp_path / "many"), "1")


def test_files_are_pushed_some_at_once_and_stay_in_order(many: ModelRef, tmp_path: Path):
    shelf = Slow()
    stored(shelf, many, tmp_path)
    layers = shelf.manifests["models/many", "1"].layers
    assert [layer.annotations[TITLE] for layer in layers] == [f"{number:02}" for number in range(40)]
    assert 1 < shelf.most <= 8


def test_after_a_failure_no_further_file_is_pushed(many: ModelRef, tmp_path: Path):
    shelf = Slow(takes=3)
    with pytest.raises(Unavailable):
        stored(shelf, many, tmp_path)
    assert shelf.begun < 20
    assert not shelf.manifests


def test_wrong_bytes_of_a_registry_are_refused_and_not_kept(model: ModelRef, tmp_path: Path):
    shelf = Shelf()
    stored(shelf, model, tmp_path)
    shelf.blobs = {digest: bytes(len(content)) for digest, content in shelf.blobs.items()}
    with pytest.raises(SystemError_, match="wrong bytes"):
        asyncio.run(restore_models(shelf, "models/digits", "4", tmp_path / "other", tmp_path / "back"))
    assert list((tmp_path / "other" / "blobs").iterdir()) == []


@pytest.mark.parametrize("title", ["../x", "/etc/x", "", "a/../../x", "a//b", "./a", "a\nb"])
def test_a_title_that_leaves_the_folder_is_refused(title: str, tmp_path: Path):
    shelf = Shelf(blobs={"sha256:" + "a" * 64: b""})
    layer = Descriptor("x", "sha256:" + "a" * 64, 0, {TITLE: title})
    shelf.manifests["models/m", "1"] = Artifact("x", (layer,))
    with pytest.raises(SnapshotError, match="titled"):
        asyncio.run(restore_models(shelf, "models/m", "1", tmp_path, tmp_path / "back"))


def test_code_is_stored_as_one_tar_layer_the_same_for_the_same_tree(model: ModelRef, tmp_path: Path):
    shelf = Shelf()
    snapshot = take_snapshot(Path(model.path), SnapshotLimits())
    tree = materialise(Path(model.path), snapshot, tmp_path / "root")
    for revision in (1, 2):
        asyncio.run(store_code(shelf, "svc", revision, snapshot, tree))
    (one,), (two,) = (shelf.manifests["code/svc", tag].layers for tag in ("1", "2"))
    assert one == two
    with tarfile.open(fileobj=io.BytesIO(shelf.blobs[one.digest])) as archive:
        assert archive.getnames() == ["sub/labels.txt", "weights.bin"]
    assert list((tmp_path / "root").iterdir()) == [tree]


@given(st.from_regex(r"\A[a-zA-Z0-9][a-zA-Z0-9\-._]{0,60}\Z"))
def test_every_model_name_has_a_repository_that_oci_can_spell(name: str):
    assert re.fullmatch(r"models/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*", model_repository(name))


def test_names_that_differ_in_case_have_repositories_of_their_own():
    assert len({model_repository(name) for name in ("digits", "Digits", "DIGITS", "digits-")}) == 4
