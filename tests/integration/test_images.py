"""Images over a real layout folder: other people's tools read them, and a power cut does them no harm."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from modelyard.api import NotFound
from modelyard.images.lookup import ENVIRONMENT_IMAGES
from modelyard_registry.layout import OciLayoutRegistry

from engine.tests.images.making import put_base
from tests.integration.image_builder import KEY, build

ROOT = Path(__file__).parents[2]
STEPS = {
    "base": "has_blob:1",
    "environment": "push_blob:1",
    "models": "push_blob:2",
    "code": "push_blob:3",
    "configuration": "push_blob:4",
    "manifest": "push:1",
}
needs_skopeo = pytest.mark.skipif(
    shutil.which("skopeo") is None, reason="needs skopeo, the tool other people use"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {
        "env/bin/serve": b"#!/bin/sh\n",
        "model/weights": b"w" * 5_000,
        "code/score.py": b"",
    }.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    (tmp_path / "project/env/bin/serve").chmod(0o755)
    asyncio.run(put_base(OciLayoutRegistry(tmp_path / "registry")))
    return tmp_path


def start(folder: Path, *, dies_before: str = "") -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tests.integration.image_builder", str(folder), dies_before]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def skopeo(*arguments: str) -> str:
    command: Sequence[str] = ["skopeo", "--insecure-policy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_skopeo
def test_skopeo_reads_the_image(folder: Path):
    manifest = asyncio.run(build(folder))
    name = f"oci:{folder / 'registry'}:{ENVIRONMENT_IMAGES}:{KEY}"
    seen = json.loads(skopeo("inspect", name))
    assert seen["Digest"] == manifest.digest
    assert (seen["Os"], seen["Architecture"]) == ("linux", "amd64")
    assert len(seen["Layers"]) == 4
    assert seen["Labels"]["org.opencontainers.image.title"] == "digits"
    running = json.loads(skopeo("inspect", "--config", name))
    assert running["config"]["User"] == "65532:65532"
    assert running["config"]["Entrypoint"] == ["/opt/env/bin/serve"]
    assert len([one for one in running["history"] if not one.get("empty_layer")]) == 4


@needs_skopeo
def test_skopeo_reads_layers_in_zstd_and_finds_their_content_right(folder: Path):
    (folder / "project/env/lib").write_bytes(bytes(3_000_000) + b"the end")  # more than one frame
    asyncio.run(build(folder, compression="zstd"))
    name = f"oci:{folder / 'registry'}:{ENVIRONMENT_IMAGES}:{KEY}"
    manifest = json.loads(skopeo("inspect", "--raw", name))
    kinds = [one["mediaType"].rpartition(".")[2] for one in manifest["layers"]]
    assert kinds[1:] == ["tar+zstd", "tar", "tar+zstd"]
    skopeo("copy", "--dest-decompress", name, f"dir:{folder / 'copy'}")
    unpacked = json.loads((folder / "copy/manifest.json").read_bytes())
    config = json.loads(skopeo("inspect", "--config", name))
    assert [one["digest"] for one in unpacked["layers"]] == config["rootfs"]["diff_ids"]


@needs_skopeo
def test_skopeo_copies_the_image_with_every_digest_checked(folder: Path):
    manifest = asyncio.run(build(folder))
    name = f"oci:{folder / 'registry'}:{ENVIRONMENT_IMAGES}:{KEY}"
    skopeo("copy", "--preserve-digests", name, f"oci:{folder / 'copy'}:1")
    assert (folder / "copy/blobs/sha256" / manifest.digest.removeprefix("sha256:")).exists()
    # this form unpacks every layer and compares it with its diff_id
    skopeo("copy", name, f"docker-archive:{folder / 'archive.tar'}:digits:1")
    with tarfile.open(folder / "archive.tar") as archive:
        listed = archive.extractfile("manifest.json")
        assert listed
        layers = json.load(listed)[0]["Layers"]
    assert len(layers) == 4


@pytest.mark.parametrize("step", STEPS)
def test_killed_before_a_step_it_leaves_no_image_and_the_next_build_makes_the_same(folder: Path, step: str):
    killed = start(folder, dies_before=STEPS[step])
    killed.communicate(timeout=30)
    assert killed.returncode == -signal.SIGKILL
    registry = OciLayoutRegistry(folder / "registry")
    with pytest.raises(NotFound):
        asyncio.run(registry.resolve(ENVIRONMENT_IMAGES, KEY))
    again = asyncio.run(build(folder))
    assert asyncio.run(registry.resolve(ENVIRONMENT_IMAGES, KEY)) == again
    assert {path.name for path in (folder / "work").iterdir()} == {f"{KEY}.lock"}
    shutil.rmtree(folder / "registry")
    asyncio.run(put_base(registry))
    assert asyncio.run(build(folder)) == again


def test_processes_that_want_one_image_at_once_build_it_once(folder: Path):
    several = [start(folder) for _ in range(4)]
    digests = set()
    for one in several:
        out, err = one.communicate(timeout=30)
        assert one.returncode == 0, err
        digests.add(out)
    assert len(digests) == 1
    assert (folder / "builds").read_text() == "built\n"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, which tells a process's peak of memory")
def test_memory_does_not_grow_with_a_model(folder: Path):
    with (folder / "project/model/weights").open("wb") as file:
        file.truncate(300_000_000)
    try:
        done = start(folder)
        _, err = done.communicate(timeout=50)
        assert done.returncode == 0, err
        assert int(err) < 16_384, "KiB of memory for an image of 300 MB"
    finally:
        shutil.rmtree(folder)  # nobody wants to keep these bytes
