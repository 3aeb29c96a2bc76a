"""What was seen a moment ago is not asked again, and is not believed for longer than it holds."""

from __future__ import annotations

import asyncio

import pytest
from modelyard.api import Artifact, Descriptor, NotFound
from modelyard_registry.distribution import DistributionRegistry
from modelyard_registry.distribution.presence import FRESH_SECONDS, MOST_MANIFESTS, Presence

from plugins.registry.tests.distribution.conftest import Clock, Connect
from plugins.registry.tests.distribution.fake import FakeRegistry, Handler, digest_of, errors, status

REPOSITORY = "models/digits"
LAYERS = [b"weights", b"code", b"runtime"]
OTHER = b"a layer of somebody else"


async def push(registry: DistributionRegistry, *, tag: str = "1") -> tuple[Descriptor, list[Descriptor]]:
    layers = [await registry.push_blob(REPOSITORY, one, "x/y") for one in LAYERS]
    return await registry.push(REPOSITORY, Artifact("x/z", tuple(layers)), tag=tag), layers


def test_one_connection_carries_question_after_question(fake: FakeRegistry, connect: Connect):
    async def case() -> None:
        registry = connect()
        await push(registry)
        await registry.has_blob(REPOSITORY, fake.keep(OTHER))

    asyncio.run(case())
    ports = {one.port for one in fake.asked}
    assert len(fake.asked) > 12
    assert len(ports) == 2  # the tag is looked at while the manifest is read back


def test_a_tag_is_not_looked_at_while_its_manifest_is_written(fake: FakeRegistry, connect: Connect):
    meanwhile = list[int]()

    def slowly(_handler: Handler) -> bool:
        fake.ended.wait(0.1)
        meanwhile.append(len(fake.requests("HEAD", "/manifests/")))
        return False

    fake.fail("PUT", "/manifests/", slowly)
    asyncio.run(push(connect()))
    assert meanwhile == [0]
    manifest = [(one.method, one.path.rpartition("/")[2]) for one in fake.asked if "/manifests/" in one.path]
    digest = digest_of(fake.manifests["1"])
    assert (manifest[0], {*manifest[1:3]}, manifest[3:]) == (
        ("PUT", digest),
        {("GET", digest), ("HEAD", "1")},
        [("PUT", "1")],
    )


def test_a_push_asks_for_nothing_that_was_sent_a_moment_ago(fake: FakeRegistry, connect: Connect):
    asyncio.run(push(connect()))
    (look,) = fake.requests("HEAD", "/blobs/")
    assert look.path.endswith(digest_of(b"{}"))  # the empty configuration, which most repositories have


def test_a_small_blob_that_an_image_names_is_asked_for_by_that_image_and_not_sent(
    fake: FakeRegistry, connect: Connect, clock: Clock
):
    async def case() -> None:
        registry = connect()
        await push(registry)
        clock.now += 3600
        fake.asked.clear()
        await registry.push_blob(REPOSITORY, LAYERS[1], "x/y")

    asyncio.run(case())
    assert [one.method for one in fake.asked] == ["HEAD"]


def test_a_blob_that_was_found_missing_is_sent_without_another_question(fake: FakeRegistry, connect: Connect):
    async def case() -> None:
        registry = connect()
        digest = fake.keep(OTHER)
        del fake.blobs[digest]
        assert not await registry.has_blob(REPOSITORY, digest)
        await registry.push_blob(REPOSITORY, OTHER, "x/y")
        assert await registry.has_blob(REPOSITORY, digest)

    asyncio.run(case())
    assert len(fake.requests("HEAD")) == 1


def test_the_manifest_of_an_image_pushed_before_vouches_for_its_blobs(
    fake: FakeRegistry, connect: Connect, clock: Clock
):
    async def case() -> None:
        registry = connect()
        manifest, layers = await push(registry)
        clock.now += 3600
        fake.asked.clear()
        looks = (registry.has_blob(REPOSITORY, one.digest) for one in layers)
        assert all(await asyncio.gather(*looks))
        assert [one.path for one in fake.asked] == [f"/v2/{REPOSITORY}/manifests/{manifest.digest}"]

    asyncio.run(case())


def test_where_that_manifest_is_gone_each_blob_is_asked_for(
    fake: FakeRegistry, connect: Connect, clock: Clock
):
    async def case() -> None:
        registry = connect()
        manifest, layers = await push(registry)
        clock.now += 3600
        fake.manifests.clear()
        del fake.blobs[layers[1].digest]
        fake.asked.clear()
        found = [await registry.has_blob(REPOSITORY, one.digest) for one in layers]
        assert found == [True, False, True]
        assert len(fake.requests("HEAD", manifest.digest)) == 1
        assert len(fake.requests("HEAD", "/blobs/")) == 3

    asyncio.run(case())


def test_a_blob_is_believed_for_a_moment_alone(fake: FakeRegistry, connect: Connect, clock: Clock):
    async def case() -> None:
        registry = connect()
        digest = fake.keep(OTHER)
        for seconds in (0, FRESH_SECONDS - 1, 2):
            clock.now += seconds
            assert await registry.has_blob(REPOSITORY, digest)

    asyncio.run(case())
    assert len(fake.requests("HEAD")) == 2


def test_a_blob_that_the_registry_lost_meanwhile_is_named_and_then_sent_again(
    fake: FakeRegistry, connect: Connect
):
    async def case() -> None:
        registry = connect()
        before, layers = await push(registry)
        lost = layers[1].digest
        del fake.blobs[lost]
        fake.fail("PUT", "/manifests/", status(400, errors("MANIFEST_BLOB_UNKNOWN", "blob unknown")))
        with pytest.raises(NotFound, match=lost):
            await push(registry, tag="2")
        assert "2" not in fake.manifests
        after, _ = await push(registry, tag="2")
        assert lost in fake.blobs
        assert after == before

    asyncio.run(case())


def test_what_was_deleted_is_believed_no_more(fake: FakeRegistry, connect: Connect):
    async def case() -> None:
        registry = connect()
        manifest, layers = await push(registry)
        await registry.delete(REPOSITORY, manifest.digest)
        fake.blobs.clear()  # as if collected
        assert not await registry.has_blob(REPOSITORY, layers[0].digest)

    asyncio.run(case())


def test_what_it_remembers_is_bounded():
    presence = Presence(lambda: 0.0)
    for number in range(MOST_MANIFESTS + 1):
        presence.stored(
            "r", f"m{number}", [Descriptor("x/y", f"b{number}", 1), Descriptor("x/y", "shared", 1)]
        )
    assert presence.witness("r", "b0") is None
    assert presence.witness("r", "b1") == "m1"
    assert presence.witness("r", "shared") == f"m{MOST_MANIFESTS}"
