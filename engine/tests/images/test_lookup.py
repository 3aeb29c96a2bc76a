"""An image is looked for before it is built, and built once however many want it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import attrs
import pytest
from modelyard.api import Artifact, Descriptor, Refused, Unavailable
from modelyard.images import Repository, Shelves, find_image, find_or_build
from modelyard.images.lookup import ENVIRONMENT_IMAGES, WORK
from modelyard.testing import InMemoryRegistry

from engine.tests.images.making import Killed

KEY = "a" * 64


@attrs.define
class Builder:
    """Builds a tiny image, slowly, and counts; dies at the step that a test names."""

    dies: str = ""
    built: int = 0
    found_empty: list[bool] = attrs.field(factory=list)

    async def __call__(self, target: Repository, folder: Path) -> Descriptor:
        self.found_empty.append(os.listdir(folder) == [])  # noqa: PTH208  a test may block
        (folder / "half").touch()
        self._reach("blob")
        layer = await target.registry.push_blob(target.name, b"layer", "layer")
        await asyncio.sleep(0.05)
        self._reach("manifest")
        done = await target.registry.push(target.name, Artifact("image", (layer,)), tag=KEY)
        self.built += 1
        self._reach("end")
        return done

    def _reach(self, step: str) -> None:
        if self.dies == step:
            raise Killed(step)


class Away(InMemoryRegistry):
    """A registry that does not answer."""

    async def resolve(self, repository: str, reference: str) -> Descriptor:  # noqa: ARG002
        raise Unavailable("no answer", place=self.name)


@pytest.fixture
def shelves(tmp_path: Path) -> Shelves:
    shared = (InMemoryRegistry(name="first"), InMemoryRegistry(name="second"))
    return Shelves(InMemoryRegistry(name="workspace"), shared, tmp_path / "images")


async def put(registry: InMemoryRegistry) -> Descriptor:
    layer = await registry.push_blob(ENVIRONMENT_IMAGES, registry.name.encode(), "layer")
    return await registry.push(ENVIRONMENT_IMAGES, Artifact("image", (layer,)), tag=KEY)


@pytest.mark.parametrize(
    ("there", "found_in"),
    [
        (["workspace", "first", "second"], "workspace"),
        (["first", "second"], "first"),
        (["second"], "second"),
        ([], None),
    ],
)
def test_the_workspaces_registry_comes_first_then_the_shared_in_their_order(
    shelves: Shelves, there: list[str], found_in: str | None
):
    async def case() -> None:
        for registry in (shelves.workspace, *shelves.shared):
            if registry.name in there:
                await put(registry)
        found = await find_image(KEY, shelves)
        assert (found and found.repository.registry.name) == found_in
        if found:
            assert found.manifest == await found.repository.registry.resolve(found.repository.name, KEY)

    asyncio.run(case())


def test_what_is_found_is_not_built(shelves: Shelves):
    async def case() -> None:
        await put(shelves.shared[1])
        builder = Builder()
        found = await find_or_build(KEY, shelves, builder)
        assert found.repository.registry.name == "second"
        assert builder.built == 0

    asyncio.run(case())
    assert not shelves.folder.exists()


def test_what_nobody_has_is_built_into_the_workspaces_registry(shelves: Shelves):
    async def case() -> None:
        found = await find_or_build(KEY, shelves, Builder())
        assert found.repository.registry.name == "workspace"
        assert await find_image(KEY, shelves) == found

    asyncio.run(case())
    assert [one.name for one in shelves.folder.iterdir()] == [f"{KEY}.lock"]


def test_ten_who_ask_at_once_get_one_build(shelves: Shelves):
    builder = Builder()

    async def case() -> None:
        found = await asyncio.gather(*(find_or_build(KEY, shelves, builder) for _ in range(10)))
        assert len({one.manifest.digest for one in found}) == 1

    asyncio.run(case())
    assert builder.built == 1


def test_different_keys_do_not_wait_for_each_other(shelves: Shelves):
    both = asyncio.Barrier(2)

    async def together(target: Repository, folder: Path) -> Descriptor:
        await both.wait()
        return await Builder()(target, folder)

    async def case() -> None:
        async with asyncio.timeout(5):
            await asyncio.gather(*(find_or_build(key, shelves, together) for key in (KEY, "b" * 64)))

    asyncio.run(case())


@pytest.mark.parametrize("step", ["blob", "manifest", "end"])
def test_a_build_that_dies_at_any_step_is_seen_by_nobody_or_whole(shelves: Shelves, step: str):
    builder = Builder(dies=step)
    with pytest.raises(Killed):
        asyncio.run(find_or_build(KEY, shelves, builder))
    found = asyncio.run(find_image(KEY, shelves))
    assert (found is not None) == (step == "end")
    builder.dies = ""
    asyncio.run(find_or_build(KEY, shelves, builder))
    assert builder.built == 1


def test_what_a_killed_build_left_is_removed_by_the_next_of_any_key(shelves: Shelves):
    left = shelves.folder / f"{WORK}-of-the-dead"
    left.mkdir(parents=True)
    (left / "half").touch()
    builder = Builder()
    asyncio.run(find_or_build(KEY, shelves, builder))
    assert builder.found_empty == [True]
    assert not left.exists()


def test_those_who_wait_build_when_the_first_fails(shelves: Shelves):
    tries = 0

    async def fails_once(target: Repository, folder: Path) -> Descriptor:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0.05)
        if tries == 1:
            raise Refused(())
        return await Builder()(target, folder)

    async def case() -> None:
        done = await asyncio.gather(
            *(find_or_build(KEY, shelves, fails_once) for _ in range(3)), return_exceptions=True
        )
        assert sum(isinstance(one, Refused) for one in done) == 1

    asyncio.run(case())
    assert tries == 2


def test_a_shared_registry_that_does_not_answer_is_passed_over_and_named(
    shelves: Shelves, caplog: pytest.LogCaptureFixture
):
    shelves = attrs.evolve(shelves, shared=(Away(name="away"), shelves.shared[1]))
    asyncio.run(put(shelves.shared[1]))
    found = asyncio.run(find_image(KEY, shelves))
    assert found
    assert found.repository.registry.name == "second"
    assert "away" in caplog.text


def test_a_workspaces_registry_that_does_not_answer_ends_the_search(shelves: Shelves):
    shelves = attrs.evolve(shelves, workspace=Away(name="workspace"))
    with pytest.raises(Unavailable):
        asyncio.run(find_image(KEY, shelves))
