"""A download is taken up where it was cut, and never hands out bytes that are not the digest's as whole."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import pytest
from modelyard.api import Artifact, NotFound, StoreDamaged, Unavailable
from modelyard_registry.distribution import DistributionRegistry, listing
from modelyard_registry.distribution.transport import Timing
from modelyard_registry.manifests import digest_of, encode

from plugins.registry.tests.distribution.conftest import Connect
from plugins.registry.tests.distribution.fake import (
    MANIFEST,
    Act,
    FakeRegistry,
    Handler,
    cut_download_after,
    dropped,
    silent,
    status,
)

REPOSITORY = "models/digits"
CONTENT = bytes(range(256)) * 40
TYPE = "application/vnd.modelyard.test"


async def read(registry: DistributionRegistry, digest: str) -> bytes:
    return b"".join([piece async for piece in registry.read_blob(REPOSITORY, digest)])


def test_a_cut_download_goes_on_from_the_byte_that_arrived(fake: FakeRegistry, connect: Connect):
    digest = fake.keep(CONTENT)
    fake.fail("GET", "/blobs/", cut_download_after(3000), times=2)
    assert asyncio.run(read(connect(), digest)) == CONTENT
    assert [one.headers.get("Range") for one in fake.requests("GET")] == [None, "bytes=3000-", "bytes=6000-"]


def test_a_registry_that_cannot_go_on_is_read_from_the_beginning(fake: FakeRegistry, connect: Connect):
    def whole(handler: Handler) -> bool:
        del handler.headers["Range"]
        return False

    digest = fake.keep(CONTENT)
    fake.fail("GET", "/blobs/", cut_download_after(3000))
    fake.fail("GET", "/blobs/", whole)
    assert asyncio.run(read(connect(), digest)) == CONTENT


def test_a_registry_that_goes_on_elsewhere_is_not_believed(fake: FakeRegistry, connect: Connect):
    digest = fake.keep(CONTENT)
    fake.fail("GET", "/blobs/", cut_download_after(3000))
    fake.fail("GET", "/blobs/", status(206, CONTENT[5:], content_range="bytes 5-10/11"))
    with pytest.raises(StoreDamaged, match="starts at 5"):
        asyncio.run(read(connect(), digest))


def test_a_download_that_is_cut_again_and_again_is_given_up(fake: FakeRegistry, connect: Connect):
    digest = fake.keep(CONTENT)
    fake.fail("GET", "/blobs/", cut_download_after(0), times=100)
    with pytest.raises(Unavailable):
        asyncio.run(read(connect(), digest))
    assert len(fake.asked) == 4


def test_wrong_bytes_raise_at_the_end(fake: FakeRegistry, connect: Connect):
    digest = fake.keep(CONTENT)
    fake.blobs[digest] = CONTENT[:-1] + b"X"
    with pytest.raises(StoreDamaged, match="do not match") as caught:
        asyncio.run(read(connect(), digest))
    assert digest in caught.value.place


def test_a_manifest_of_another_digest_is_not_believed(fake: FakeRegistry, connect: Connect):
    wanted, other = encode(Artifact(TYPE, ())), encode(Artifact(TYPE, (), {"other": "one"}))
    fake.manifests[digest_of(wanted)] = other
    with pytest.raises(StoreDamaged):
        asyncio.run(connect().pull(REPOSITORY, digest_of(wanted)))


def test_a_registry_that_tells_another_digest_than_it_sends_is_not_believed(
    fake: FakeRegistry, connect: Connect
):
    content = encode(Artifact(TYPE, ()))
    told = {"content_type": MANIFEST, "docker_content_digest": digest_of(b"other")}
    fake.fail("GET", "/manifests/", status(200, content, **told))
    with pytest.raises(StoreDamaged, match="do not match"):
        asyncio.run(connect().pull(REPOSITORY, "1"))


def test_a_pushed_manifest_that_reads_otherwise_gets_no_tag(fake: FakeRegistry, connect: Connect):
    other = encode(Artifact(TYPE, (), {"other": "one"}))
    fake.fail("GET", "/manifests/", status(200, other, content_type=MANIFEST))
    with pytest.raises(StoreDamaged):
        asyncio.run(connect().push(REPOSITORY, Artifact(TYPE, ()), tag="1"))
    assert not [one for one in fake.requests("PUT") if one.path.endswith("/manifests/1")]


def test_a_registry_that_does_not_tell_digests_is_read_instead(fake: FakeRegistry, connect: Connect):
    content = encode(Artifact(TYPE, ()))
    fake.manifests["1"] = content
    fake.fail("HEAD", "/manifests/", status(200))
    assert asyncio.run(connect().resolve(REPOSITORY, "1")).digest == digest_of(content)


@pytest.mark.parametrize("document", [b"", b"[]", b"{", b'{"layers": 1}', b'{"layers": []}', b"[" * 100_000])
def test_a_manifest_that_is_none_is_damage(fake: FakeRegistry, connect: Connect, document: bytes):
    fake.manifests["1"] = document
    with pytest.raises(StoreDamaged):
        asyncio.run(connect().pull(REPOSITORY, "1"))


def test_a_manifest_without_end_is_not_read(fake: FakeRegistry, connect: Connect):
    fake.manifests["1"] = b" " * (5 * 1024 * 1024)
    with pytest.raises(StoreDamaged, match="over"):
        asyncio.run(connect().pull(REPOSITORY, "1"))


def test_a_manifest_of_absurdly_many_layers_is_not_taken(fake: FakeRegistry, connect: Connect):
    layer = b'{"mediaType":"t","digest":"d","size":1}'
    config = b'{"mediaType":"t","digest":"d","size":1}'
    fake.manifests["1"] = b'{"config":' + config + b',"layers":[' + b",".join([layer] * 20_000) + b"]}"
    with pytest.raises(StoreDamaged, match="layers"):
        asyncio.run(connect().pull(REPOSITORY, "1"))


@pytest.mark.parametrize(
    ("failure", "waited"),
    [(status(503), [0.375, 0.75]), (status(429, retry_after="7"), [7.0, 7.0]), (dropped, [0.375, 0.75])],
    ids=["503", "429", "drops"],
)
def test_a_registry_that_recovers_is_asked_again_later_and_later(
    fake: FakeRegistry, connect: Connect, waits: list[float], failure: Act, waited: list[float]
):
    digest = fake.keep(CONTENT)
    fake.fail("GET", "/blobs/", failure, times=2)
    assert asyncio.run(read(connect(), digest)) == CONTENT
    assert waits == waited


def test_a_registry_that_stays_ill_is_told_with_its_words(fake: FakeRegistry, connect: Connect):
    fake.fail("HEAD", "", status(HTTPStatus.SERVICE_UNAVAILABLE), times=100)
    with pytest.raises(Unavailable, match="503") as caught:
        asyncio.run(connect().resolve(REPOSITORY, "1"))
    assert fake.host in caught.value.place
    assert len(fake.asked) == 4


def test_a_registry_that_asks_for_an_hour_is_told_and_not_waited_for(
    fake: FakeRegistry, connect: Connect, waits: list[float]
):
    fake.fail("HEAD", "", status(429, retry_after="3600"))
    with pytest.raises(Unavailable, match="3600 s"):
        asyncio.run(connect().resolve(REPOSITORY, "1"))
    assert waits == []


def test_a_silent_registry_is_not_waited_for_without_end(fake: FakeRegistry, connect: Connect):
    fake.fail("HEAD", "", silent, times=100)
    registry = connect(timing=Timing(connect=1.0, silence=0.05))
    with pytest.raises(Unavailable, match="ReadTimeout"):
        asyncio.run(registry.resolve(REPOSITORY, "1"))


def test_an_answer_that_drips_in_for_ever_is_not_waited_for(fake: FakeRegistry, connect: Connect):
    def drip(handler: Handler) -> bool:
        for letter in b"HTTP/1.1 200 OK\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy":
            handler.wfile.write(bytes([letter]))
            if handler.registry.ended.wait(0.02):
                break
        return handler.cut()

    fake.fail("HEAD", "", drip, times=100)
    registry = connect(timing=Timing(beginning=0.2))
    with pytest.raises(Unavailable, match=r"no answer began in 0\.2 s"):
        asyncio.run(registry.resolve(REPOSITORY, "1"))


def test_a_server_that_is_not_there_is_named(connect: Connect, fake: FakeRegistry):
    registry = connect(prefix="team")
    fake.fail("HEAD", "", dropped, times=100)
    with pytest.raises(Unavailable) as caught:
        asyncio.run(registry.resolve(REPOSITORY, "1"))
    assert caught.value.place == f"{fake.url}/v2/team/models/digits/manifests/1"


def test_tags_come_page_by_page(fake: FakeRegistry, connect: Connect):
    link = '</v2/models/digits/tags/list?n=1000&last=b>; rel="next"'
    fake.fail("GET", "last=b", status(200, b'{"name": "models/digits", "tags": ["b", "c"]}'))
    fake.fail("GET", "/tags/list?n=1000", status(200, b'{"tags": ["a", "b"]}', link=link))
    assert asyncio.run(connect().list_tags(REPOSITORY)) == ("a", "b", "c")


def test_a_repository_without_tags_has_none(fake: FakeRegistry, connect: Connect):
    fake.fail("GET", "/tags/list", status(200, b'{"name": "models/digits", "tags": null}'))
    assert asyncio.run(connect().list_tags(REPOSITORY)) == ()


@pytest.mark.parametrize("page", [b"", b"[]", b'{"tags": 1}', b'{"tags": [1]}', b'{"tags": "ab"}'])
def test_a_list_of_tags_that_is_none_is_damage(fake: FakeRegistry, connect: Connect, page: bytes):
    fake.fail("GET", "/tags/list", status(200, page))
    with pytest.raises(StoreDamaged):
        asyncio.run(connect().list_tags(REPOSITORY))


def test_pages_without_end_are_given_up(
    fake: FakeRegistry, connect: Connect, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(listing, "MOST_PAGES", 5)
    link = '</v2/models/digits/tags/list?again>; rel="next"'
    fake.fail("GET", "/tags/list", status(200, b'{"tags": []}', link=link), times=100)
    with pytest.raises(StoreDamaged, match="5 pages"):
        asyncio.run(connect().list_tags(REPOSITORY))
    assert len(fake.asked) == 5


def test_a_missing_repository_is_not_found(connect: Connect):
    with pytest.raises(NotFound):
        asyncio.run(connect().list_tags(REPOSITORY))
