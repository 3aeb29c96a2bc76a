"""A base is found by tag, digest or platform, and its layers come to where they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
from modelyard.api import (
    Artifact,
    Descriptor,
    ImageUnbuildable,
    NotFound,
    Platform,
    StoreDamaged,
)
from modelyard.images import Repository, find_base
from modelyard.images.bases import bring_layers
from modelyard.testing import InMemoryRegistry

from engine.tests.images.making import (
    AMD64,
    BASES,
    CONFIG_TYPE,
    OnAServer,
    Watched,
    base_config,
    made_base,
    put_base,
    read,
    sha,
)


def test_a_base_is_found_by_tag_and_by_digest():
    registry = InMemoryRegistry()

    async def case() -> None:
        manifest = await put_base(registry)
        by_tag = await find_base(Repository(registry, BASES), "3", AMD64)
        by_digest = await find_base(Repository(registry, BASES), manifest.digest, AMD64)
        assert by_tag.name == "base/python:3"
        assert by_digest.name == f"base/python@{manifest.digest}"
        assert by_tag.digest == by_digest.digest == manifest.digest
        assert by_tag.config == by_digest.config == base_config()

    asyncio.run(case())


@attrs.define
class Several(InMemoryRegistry):
    """A registry whose tags name one manifest a platform."""

    async def resolve_platform(self, repository: str, reference: str, platform: Platform) -> Descriptor:
        return await self.resolve(repository, f"{reference}-{platform.architecture}")


def test_of_an_index_the_image_for_the_platform_is_taken():
    registry = Several()

    async def case() -> None:
        await put_base(registry, tag="3-amd64")
        arm = await put_base(registry, tag="3-arm64", config=base_config(architecture="arm64"))
        found = await find_base(Repository(registry, BASES), "3", Platform("linux", "arm64"))
        assert found.digest == arm.digest

    asyncio.run(case())


def test_a_base_that_is_absent_or_of_another_platform_is_refused():
    registry = InMemoryRegistry()

    async def case() -> None:
        with pytest.raises(NotFound):
            await find_base(Repository(registry, BASES), "3", AMD64)
        await put_base(registry)
        with pytest.raises(ImageUnbuildable, match="not for linux/arm64"):
            await find_base(Repository(registry, BASES), "3", Platform("linux", "arm64"))

    asyncio.run(case())


def test_a_configuration_too_large_for_memory_is_not_read():
    registry = Watched(InMemoryRegistry())

    async def case() -> None:
        config = await registry.push_blob(BASES, b" " * (4 * 1024 * 1024 + 1), CONFIG_TYPE)
        await registry.push(BASES, Artifact(CONFIG_TYPE, (), config=config), tag="3")
        with pytest.raises(StoreDamaged, match="larger than it may be"):
            await find_base(Repository(registry, BASES), "3", AMD64)

    asyncio.run(case())
    assert registry.count("read_blob") == 0


def test_within_a_registry_layers_are_mounted_and_nothing_is_read(tmp_path: Path):
    registry = Watched(InMemoryRegistry())

    async def case() -> None:
        base = await made_base(registry)
        registry.calls.clear()
        await bring_layers(base, Repository(registry, BASES), Repository(registry, "images/a"), tmp_path)
        assert await registry.inner.has_blob("images/a", base.layers[0].digest)
        assert [method for method, _ in registry.calls] == ["has_blob", "mount"]

    asyncio.run(case())


def test_between_registries_layers_are_copied_once(tmp_path: Path):
    source, target = InMemoryRegistry(name="theirs"), Watched(InMemoryRegistry(name="ours"))

    async def case() -> None:
        base = await made_base(source)
        for _ in range(2):
            await bring_layers(base, Repository(source, BASES), Repository(target, "images/a"), tmp_path)
        assert target.count("push_blob") == 1
        assert target.count("mount") == 0, "another registry's repository means nothing here"
        digest = base.layers[0].digest
        assert sha(await read(target, "images/a", digest)) == digest

    asyncio.run(case())
    assert list(tmp_path.iterdir()) == []


class Addressed(InMemoryRegistry):
    """A record of a server; another one of it can mount what lies at its address."""

    def address(self, repository: str) -> str:
        return f"localhost:5000/{repository}"


@pytest.mark.parametrize("is_beside", [True, False])
def test_between_records_of_one_server_layers_are_mounted(tmp_path: Path, *, is_beside: bool):
    async def case() -> None:
        inner = Addressed(name="theirs")
        source = Watched(inner)
        base = await made_base(source)
        target = OnAServer(name="ours", beside=inner if is_beside else None)
        await bring_layers(base, Repository(source, BASES), Repository(target, "images/a"), tmp_path)
        assert target.asked == [f"localhost:5000/{BASES}"]
        assert await target.has_blob("images/a", base.layers[0].digest)
        copied = [what for method, what in source.calls if what == base.layers[0].digest]
        assert len(copied) == (0 if is_beside else 1)

    asyncio.run(case())


class NeverMounts(InMemoryRegistry):
    """As some registries do, it answers every mount with an upload."""

    async def mount(self, repository: str, digest: str, source: str) -> bool:  # noqa: ARG002
        return False


def test_a_registry_that_mounts_nothing_gets_a_copy(tmp_path: Path):
    registry = NeverMounts()

    async def case() -> None:
        base = await made_base(registry)
        await bring_layers(base, Repository(registry, BASES), Repository(registry, "images/a"), tmp_path)
        assert await registry.has_blob("images/a", base.layers[0].digest)

    asyncio.run(case())


class Endless(InMemoryRegistry):
    """It sends more than it promised."""

    async def read_blob(self, repository: str, digest: str) -> AsyncIterator[bytes]:
        async for chunk in super().read_blob(repository, digest):
            while True:
                yield chunk


def test_a_registry_that_sends_without_end_is_left(tmp_path: Path):
    source, target = Endless(name="theirs"), InMemoryRegistry(name="ours")

    async def case() -> None:
        await put_base(source)
        with pytest.raises(StoreDamaged, match="larger than it may be"):
            await find_base(Repository(source, BASES), "3", AMD64)
        base = await made_base(honest := InMemoryRegistry())
        assert await honest.has_blob(BASES, base.layers[0].digest)
        with pytest.raises(StoreDamaged, match="larger than it may be"):
            await bring_layers(base, Repository(source, BASES), Repository(target, "images/a"), tmp_path)
        assert not await target.has_blob("images/a", base.layers[0].digest)

    asyncio.run(case())
    assert list(tmp_path.iterdir()) == []
