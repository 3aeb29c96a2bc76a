"""Images of environments are copied between registries under the key that they say they have."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from modelyard.api import ImageRef, ImageUnbuildable, NotFound, UserError
from modelyard.images import BASE_IMAGES, ENVIRONMENT_IMAGES, Inputs, describe, kept_locks
from modelyard.testing import InMemoryRegistry

from engine.tests.controller.library import AMD64, PIN, Library, last, pip_of, run
from engine.tests.images.layering import layer, put_image


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.at(tmp_path)


def test_a_pull_brings_the_image_its_locks_and_a_lease(library: Library):
    async def case() -> None:
        key = await library.environment("numpy==2.1.0", registry=library.other)
        lines = library.images.pull(f"company/{ENVIRONMENT_IMAGES}:{key}", key="")
        report, told = await last(lines)
        here = await library.registry.resolve(ENVIRONMENT_IMAGES, key)
        assert here == await library.other.resolve(ENVIRONMENT_IMAGES, key)
        assert (report.key, report.digest) == (key, here.digest)
        assert report.sent_bytes == report.total_bytes
        assert told[-1].done_bytes == told[-1].total_bytes == report.total_bytes
        assert await kept_locks(library.registry, key) == {"/opt/modelyard/env": PIN.format("numpy==2.1.0")}
        assert await library.leasing.leases(library.registry).renewed_at(ENVIRONMENT_IMAGES, key)

    asyncio.run(case())
    assert [one.name for one in (library.home.cache / "images").iterdir() if one.is_dir()] == []


def test_a_second_pull_sends_nothing(library: Library):
    key = asyncio.run(library.environment("numpy==2.1.0", registry=library.other))
    reference = f"company/{ENVIRONMENT_IMAGES}:{key}"
    run(library.images.pull(reference, key=""))
    assert run(library.images.pull(reference, key=key)).sent_bytes == 0


def test_a_push_takes_the_beginning_of_a_key(library: Library):
    async def case() -> None:
        key = await library.environment("numpy==2.1.0")
        report, _ = await last(library.images.push(key[:12], registry="company"))
        assert report.target == f"company/{ENVIRONMENT_IMAGES}:{key}"
        there = await library.other.resolve(ENVIRONMENT_IMAGES, key)
        assert there == await library.registry.resolve(ENVIRONMENT_IMAGES, key)
        assert await kept_locks(library.other, key)

    asyncio.run(case())


def test_a_pull_takes_the_beginning_of_a_key(library: Library):
    key = asyncio.run(library.environment("numpy==2.1.0", registry=library.other))
    assert run(library.images.pull(f"company/{ENVIRONMENT_IMAGES}:{key[:12]}", key="")).key == key


def test_a_push_takes_the_environment_of_a_service(library: Library):
    async def case() -> None:
        key = await library.environment("numpy==2.1.0")
        labels = {"dev.modelyard.key": key}
        made = await put_image(
            library.registry, [layer({})], labels=labels, repository="images/services/digits", tag="1"
        )
        image = ImageRef("memory", "images/services/digits", made.digest)
        library.revision(1, key, image=image)
        report, _ = await last(library.images.push("digits", registry="company"))
        assert report.key == key

    asyncio.run(case())


def test_a_key_that_the_image_denies_is_refused(library: Library):
    key = asyncio.run(library.environment("numpy==2.1.0", registry=library.other))
    with pytest.raises(UserError, match="would be taken for what it is not"):
        run(library.images.pull(f"company/{ENVIRONMENT_IMAGES}:{key}", key="f" * 64))


def test_an_image_that_does_not_say_its_key_needs_one(library: Library):
    labels = describe(Inputs(AMD64, "sha256:1", library.spec().environment), [pip_of()], "")
    content = [layer({"a": b"a"})]
    asyncio.run(put_image(library.other, content, labels=labels, repository="ready", tag="1"))
    with pytest.raises(UserError, match="does not say its key"):
        run(library.images.pull("company/ready:1", key=""))
    with pytest.raises(UserError, match="'short' is no key"):
        run(library.images.pull("company/ready:1", key="short"))
    assert run(library.images.pull("company/ready:1", key="f" * 64)).key == "f" * 64


def test_an_image_without_environments_is_refused(library: Library):
    asyncio.run(put_image(library.other, [layer({"a": b"a"})], repository="ready", tag="1"))
    with pytest.raises(ImageUnbuildable, match="does not say which environments"):
        run(library.images.pull("company/ready:1", key="f" * 64))


@pytest.mark.parametrize("reference", ["Not An Image", "nowhere/images/environments:k"])
def test_a_reference_that_means_no_registry_is_named(library: Library, reference: str):
    with pytest.raises(UserError) as caught:
        run(library.images.pull(reference, key=""))
    assert caught.value.place == reference


def test_what_is_not_there_is_not_found(library: Library):
    with pytest.raises(NotFound):
        run(library.images.pull(f"company/{ENVIRONMENT_IMAGES}:{'f' * 64}", key=""))
    with pytest.raises(NotFound, match="there is no image"):
        run(library.images.push("f" * 12, registry="company"))
    with pytest.raises(NotFound, match="no registry is named 'gone'"):
        library.images.push("f" * 12, registry="gone")


def test_a_base_is_not_pushed_as_an_environment(library: Library):
    asyncio.run(put_image(library.registry, [layer({"a": b"a"})], repository=BASE_IMAGES, tag="f" * 64))
    with pytest.raises(UserError, match="is a base with docker steps"):
        run(library.images.push("f" * 12, registry="company"))


def test_who_stops_listening_stops_the_copy(tmp_path: Path):
    began, stopped = asyncio.Event(), asyncio.Event()

    class Slow(InMemoryRegistry):
        async def push_blob(self, *_: object) -> object:  # type: ignore[override]
            began.set()
            try:
                return await asyncio.Event().wait()
            finally:
                stopped.set()

    library = Library.at(tmp_path, other=Slow("company"))

    async def case() -> None:
        key = await library.environment("numpy==2.1.0")
        lines = library.images.push(key, registry="company")
        waiting = asyncio.ensure_future(_drain(lines))
        await began.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await lines.aclose()  # type: ignore[attr-defined]  # it is a generator
        assert stopped.is_set()

    asyncio.run(case())
    assert [one.name for one in (library.home.cache / "images").iterdir() if one.is_dir()] == []


async def _drain(lines: object) -> None:
    async for _ in lines:  # type: ignore[attr-defined]
        pass
