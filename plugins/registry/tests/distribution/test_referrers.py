"""What speaks of an image: the registry's own list of it, and the one that clients keep where it has none."""

from __future__ import annotations

import asyncio
import json

import pytest
from modelyard.api import Artifact, Descriptor, NotFound, StoreDamaged, Unavailable, UserError
from modelyard_registry.distribution import DistributionRegistry
from modelyard_registry.distribution.referring import index_tag

from plugins.registry.tests.distribution.conftest import Connect
from plugins.registry.tests.distribution.fake import (
    INDEX,
    MANIFEST,
    Act,
    FakeRegistry,
    Handler,
    digest_of,
    errors,
    index_of,
    status,
)
from plugins.registry.tests.distribution.real import RealRegistry, needs_registry, needs_skopeo, run
from plugins.registry.tests.distribution.real import connect as connect_to
from plugins.registry.tests.distribution.test_images import push_image, skopeo

REPOSITORY = "models/digits"
BILL = "application/vnd.cyclonedx+json"
NOTE = "application/vnd.modelyard.note"
SUBJECT = Descriptor(MANIFEST, digest_of(b"an image"), 8)
TAG = index_tag(SUBJECT.digest)
FOREIGN = {
    "mediaType": MANIFEST,
    "digest": digest_of(b"another tool's"),
    "size": 14,
    "artifactType": "application/vnd.other",
    "platform": {"os": "linux", "architecture": "amd64"},
    "data": "e30=",
}


async def speak(
    registry: DistributionRegistry, content: bytes, kind: str = BILL, subject: Descriptor = SUBJECT
) -> Descriptor:
    layer = await registry.push_blob(REPOSITORY, content, kind)
    about = Artifact(kind, (layer,), {"author": "a test"}, subject=subject)
    return await registry.push(REPOSITORY, about)


def listed(fake: FakeRegistry) -> list[str]:
    return [entry["digest"] for entry in json.loads(fake.manifests[TAG])["manifests"]]


def overwritten_by(entries: list[dict[str, object]]) -> Act:
    """Take what is written, and have another writer replace it, who had read before."""

    def act(handler: Handler) -> bool:
        content = handler.body()
        handler.registry.manifests[TAG] = index_of(entries)
        return handler.answer(201, docker_content_digest=digest_of(content))

    return act


def test_a_registry_that_lists_referrers_is_asked_page_by_page_and_keeps_no_tag(
    fake: FakeRegistry, connect: Connect
):
    fake.lists_referrers, fake.page = True, 2

    async def case() -> None:
        registry = connect()
        pushed = [await speak(registry, str(number).encode()) for number in range(5)]
        found = await registry.referrers(REPOSITORY, SUBJECT.digest)
        assert [one.digest for one in found] == sorted(one.digest for one in pushed)
        assert {one.artifact_type for one in found} == {BILL}
        assert {tuple(one.annotations.items()) for one in found} == {(("author", "a test"),)}

    run(case())
    assert len(fake.requests("GET", "/referrers/")) == 3
    assert TAG not in fake.manifests


@pytest.mark.parametrize("filters", [True, False])
def test_a_kind_is_picked_whether_the_registry_filters_or_not(
    fake: FakeRegistry,
    connect: Connect,
    filters: bool,  # noqa: FBT001
):
    fake.lists_referrers, fake.filters = True, filters

    async def case() -> None:
        registry = connect()
        bill = await speak(registry, b"bill")
        await speak(registry, b"note", NOTE)
        found = await registry.referrers(REPOSITORY, SUBJECT.digest, BILL)
        assert [one.digest for one in found] == [bill.digest]

    run(case())
    assert "artifactType=application%2Fvnd.cyclonedx%2Bjson" in fake.requests("GET", "/referrers/")[0].path


def test_an_older_registry_gets_an_index_as_the_specification_describes_it(
    fake: FakeRegistry, connect: Connect
):
    pushed = run(speak(connect(), b"bill"))
    assert json.loads(fake.manifests[TAG]) == {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            {
                "mediaType": MANIFEST,
                "digest": pushed.digest,
                "size": pushed.size,
                "artifactType": BILL,
                "annotations": {"author": "a test"},
            }
        ],
    }
    assert fake.requests("PUT", TAG)[0].headers["Content-Type"] == INDEX


def test_entries_of_other_tools_are_kept_whole(fake: FakeRegistry, connect: Connect):
    fake.manifests[TAG] = index_of([FOREIGN])
    run(speak(connect(), b"bill"))
    assert json.loads(fake.manifests[TAG])["manifests"][0] == FOREIGN
    assert len(listed(fake)) == 2


def test_what_a_second_writer_overwrote_is_written_again(
    fake: FakeRegistry, connect: Connect, waits: list[float]
):
    fake.fail("PUT", TAG, overwritten_by([FOREIGN]))
    pushed = run(speak(connect(), b"bill"))
    assert listed(fake) == [FOREIGN["digest"], pushed.digest]
    assert len(waits) == 2, "after every writing it looks again, later"


def test_a_list_that_others_overwrite_for_ever_is_given_up(fake: FakeRegistry, connect: Connect):
    fake.fail("PUT", TAG, overwritten_by([FOREIGN]), times=1000)
    with pytest.raises(Unavailable, match="others write"):
        run(speak(connect(), b"bill"))


def test_an_entry_whose_manifest_is_gone_does_not_keep_new_ones_out(fake: FakeRegistry, connect: Connect):
    fake.manifests[TAG] = index_of([FOREIGN])
    fake.fail("PUT", TAG, status(404, errors("MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")))
    pushed = run(speak(connect(), b"bill"))
    assert listed(fake) == [pushed.digest]


def test_a_tag_does_not_name_what_is_not_yet_listed(fake: FakeRegistry, connect: Connect):
    fake.fail("PUT", TAG, status(403), times=1000)

    async def case() -> None:
        registry = connect()
        layer = await registry.push_blob(REPOSITORY, b"bill", BILL)
        with pytest.raises(UserError, match="lets us not write"):
            await registry.push(REPOSITORY, Artifact(BILL, (layer,), subject=SUBJECT), tag="bill")
        with pytest.raises(NotFound):
            await registry.resolve(REPOSITORY, "bill")

    run(case())


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"manifests": 1}', b'{"manifests": [{}]}', b"[" * 100_000]
)
def test_a_list_that_is_none_is_damage_with_a_place(fake: FakeRegistry, connect: Connect, content: bytes):
    fake.fail("GET", "/referrers/", status(200, content))
    with pytest.raises(StoreDamaged, match="list of referrers") as caught:
        run(connect().referrers(REPOSITORY, SUBJECT.digest))
    assert SUBJECT.digest in caught.value.place


@pytest.mark.parametrize("link", ['<https://elsewhere.example/v2/x>; rel="next"', '</v2/a/b/c>; rel="next"'])
def test_pages_end_and_never_lead_to_another_server(fake: FakeRegistry, connect: Connect, link: str):
    fake.fail("GET", "/v2/", status(200, index_of([FOREIGN]), link=link), times=100_000)
    with pytest.raises(StoreDamaged, match="list of referrers"):
        run(connect().referrers(REPOSITORY, SUBJECT.digest))


def test_what_is_no_manifest_can_still_be_deleted(fake: FakeRegistry, connect: Connect):
    fake.manifests[SUBJECT.digest] = b"an image"
    run(connect().delete(REPOSITORY, SUBJECT.digest))
    assert SUBJECT.digest not in fake.manifests


@needs_registry
def test_writers_at_once_lose_nothing_on_a_registry_without_lists(plain: RealRegistry):
    writers = [connect_to(plain) for _ in range(6)]

    async def case() -> None:
        image = await push_image(writers[0], REPOSITORY, "1")
        pushed = await asyncio.gather(
            *(speak(one, str(number).encode(), subject=image) for number, one in enumerate(writers))
        )
        found = await writers[0].referrers(REPOSITORY, image.digest)
        assert [one.digest for one in found] == sorted(one.digest for one in pushed)

    run(case())


@needs_registry
@needs_skopeo
def test_skopeo_reads_an_image_its_referrer_and_their_list(plain: RealRegistry):
    registry = connect_to(plain)

    async def case() -> tuple[Descriptor, Descriptor]:
        image = await push_image(registry, REPOSITORY, "1")
        return image, await speak(registry, b"bill", subject=image)

    image, bill = run(case())
    place = f"docker://{plain.host}/{REPOSITORY}"
    assert json.loads(skopeo(plain, "inspect", f"{place}:1"))["Digest"] == image.digest
    seen = json.loads(skopeo(plain, "inspect --raw", f"{place}@{bill.digest}"))
    assert seen["subject"]["digest"] == image.digest
    index = json.loads(skopeo(plain, "inspect --raw", f"{place}:{index_tag(image.digest)}"))
    assert [one["digest"] for one in index["manifests"]] == [bill.digest]
