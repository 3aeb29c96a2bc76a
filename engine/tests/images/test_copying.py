"""A copy is the same image to the byte, or nothing that a tag names."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath

import attrs
import pytest
from modelyard.api import Artifact, BasePython, Descriptor, ImageUnbuildable, NotFound, PipLayer, Registry
from modelyard.images import Moved, Repository, copy_image, copy_locks, count_packages, keep_locks, kept_locks
from modelyard.testing import InMemoryRegistry

from engine.tests.images.layering import layer, put_image
from engine.tests.images.making import Killed, Watched

KEY = "k" * 8
PYTHON = BasePython(PurePosixPath("/usr/bin/python3"), "3.11.7", "cp311", "glibc-2.36", "x86_64", True)
PIN = "numpy==2.1.0 \\\n    --hash=sha256:" + "a" * 64 + "\n"
LAYERS = [layer({"a": b"a" * 3000}), layer({"b": b"b" * 5000})]


async def copied(
    source: Registry, target: Registry, folder: Path, seen: list[Moved] | None = None
) -> Descriptor:
    image = await put_image(source, LAYERS, repository="images", tag=KEY)
    told = seen if seen is not None else []
    manifest, moved = await copy_image(
        image.digest,
        Repository(source, "images"),
        target=Repository(target, "images"),
        tag=KEY,
        folder=folder,
        on_moved=told.append,
    )
    assert manifest.digest == image.digest
    assert moved == told[-1]
    return manifest


def test_a_copy_has_the_same_digest_and_every_byte_is_counted(tmp_path: Path):
    source, target, seen = InMemoryRegistry("one"), InMemoryRegistry("two"), list[Moved]()
    manifest = asyncio.run(copied(source, target, tmp_path, seen))
    assert asyncio.run(target.resolve("images", KEY)) == manifest
    assert (seen[0].there_bytes, seen[0].sent_bytes) == (0, 0)
    done = [one.done_bytes for one in seen]
    assert done == sorted(done)
    assert any(one.read_bytes for one in seen), "bytes are counted within a blob"
    assert seen[-1].there_bytes == seen[-1].sent_bytes == seen[-1].total_bytes > 8000
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_sent_again(tmp_path: Path):
    source, target, seen = InMemoryRegistry("one"), InMemoryRegistry("two"), list[Moved]()
    asyncio.run(copied(source, target, tmp_path))
    asyncio.run(copied(source, target, tmp_path, seen))
    assert (seen[-1].sent_bytes, seen[-1].there_bytes) == (0, seen[-1].total_bytes)


@pytest.mark.parametrize("step", range(8))
def test_killed_at_any_step_it_names_nothing_and_the_next_copy_goes_on(tmp_path: Path, step: int):
    source, inner = InMemoryRegistry("one"), InMemoryRegistry("two")
    watched = Watched(inner, dies_at=step)
    with pytest.raises(Killed):
        asyncio.run(copied(source, watched, tmp_path))
    with pytest.raises(NotFound):
        asyncio.run(inner.resolve("images", KEY))
    asyncio.run(copied(source, inner, tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_that_would_be_written_otherwise_is_refused_before_a_tag_names_it(tmp_path: Path):
    @attrs.define
    class Other(InMemoryRegistry):
        async def push(self, repository: str, artifact: Artifact, *, tag: str = "") -> Descriptor:
            changed = attrs.evolve(artifact, annotations={"written": "otherwise"})
            return await super().push(repository, changed, tag=tag)

    target = Other("two")
    with pytest.raises(ImageUnbuildable, match="another tool wrote its manifest"):
        asyncio.run(copied(InMemoryRegistry("one"), target, tmp_path))
    with pytest.raises(NotFound):
        asyncio.run(target.resolve("images", KEY))


def pip(prefix: str, lock: str) -> PipLayer:
    return PipLayer(PurePosixPath(prefix), PYTHON, lock, serving=True)


def test_the_locks_of_an_image_are_found_by_its_key_and_go_with_it():
    source, target = InMemoryRegistry("one"), InMemoryRegistry("two")

    async def case() -> None:
        await keep_locks(source, KEY, [pip("/opt/env", PIN), pip("/opt/script", "")])
        await copy_locks(KEY, source, target)
        assert await kept_locks(target, KEY) == {"/opt/env": PIN, "/opt/script": ""}
        assert await count_packages(target, KEY) == 1

    asyncio.run(case())


def test_locks_that_are_kept_stay_what_they_are():
    registry = InMemoryRegistry()

    async def case() -> None:
        await keep_locks(registry, KEY, [pip("/opt/env", PIN)])
        await keep_locks(registry, KEY, [pip("/opt/env", "")])
        assert await kept_locks(registry, KEY) == {"/opt/env": PIN}

    asyncio.run(case())


def test_of_a_key_without_locks_nothing_is_known():
    source, target = InMemoryRegistry("one"), InMemoryRegistry("two")

    async def case() -> None:
        await copy_locks(KEY, source, target)
        assert await kept_locks(target, KEY) == {}
        assert await count_packages(target, KEY) is None

    asyncio.run(case())
