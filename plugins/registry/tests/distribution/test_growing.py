"""A blob is sent while it is written, and arrives whole or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from modelyard.api import ServerRegistry, StoreDamaged, SystemError_, Unavailable, UserError
from modelyard_registry.distribution import DistributionRegistry

from plugins.registry.tests.distribution.conftest import Connect
from plugins.registry.tests.distribution.fake import (
    Act,
    FakeRegistry,
    Handler,
    cut_upload_after,
    digest_of,
    dropped,
    status,
)
from plugins.registry.tests.distribution.growing import GrowingContent

REPOSITORY = "models/digits"
CONTENT = bytes(range(256)) * 20


@pytest.fixture
def growing(tmp_path: Path) -> GrowingContent:
    return GrowingContent(tmp_path / "layer", CONTENT)


def push(registry: DistributionRegistry, growing: GrowingContent) -> str:
    return asyncio.run(registry.push_growing(REPOSITORY, growing)).digest


def sent_bytes(fake: FakeRegistry) -> int:
    return sum(int(one.headers["Content-Length"]) for one in fake.asked if one.method in ("PATCH", "PUT"))


def test_a_server_says_that_it_takes_what_is_being_written(connect: Connect):
    assert isinstance(connect(), ServerRegistry)


def test_its_beginning_is_sent_before_its_end_is_written(
    fake: FakeRegistry, connect: Connect, growing: GrowingContent
):
    written = list[int]()

    def note(_handler: Handler) -> bool:
        written.append(growing.size)
        return False

    fake.fail("PATCH", "", note, times=100)
    digest = push(connect(), growing)
    assert fake.blobs == {digest: CONTENT}
    assert written[0] < written[1] < len(CONTENT)
    assert sent_bytes(fake) == len(CONTENT)


@pytest.mark.parametrize("step", [1, 999, 1000, 2500, len(CONTENT) - 1])
def test_however_it_grows_the_same_blob_arrives(
    fake: FakeRegistry, connect: Connect, growing: GrowingContent, step: int
):
    growing.step = step
    assert push(connect(), growing) == digest_of(CONTENT)
    assert fake.blobs[digest_of(CONTENT)] == CONTENT


def test_one_that_is_soon_whole_is_pushed_as_any_other(
    fake: FakeRegistry, connect: Connect, growing: GrowingContent
):
    push(connect(chunk_bytes=len(CONTENT)), growing)
    assert [one.method for one in fake.asked] == ["POST", "PUT"]


def test_what_turns_out_to_be_there_is_not_sent_to_its_end(
    fake: FakeRegistry, connect: Connect, growing: GrowingContent
):
    fake.keep(CONTENT)
    growing.step = 1500
    assert push(connect(chunk_bytes=1500), growing) == digest_of(CONTENT)
    assert sent_bytes(fake) < len(CONTENT)
    assert fake.requests("PUT") == []
    (abandoned,) = fake.requests("DELETE")
    assert "/uploads/u0" in abandoned.path


def test_a_registry_may_ask_for_larger_pieces(fake: FakeRegistry, connect: Connect, growing: GrowingContent):
    fake.headers["oci-chunk-min-length"] = "4000"
    assert push(connect(chunk_bytes=100), growing) in fake.blobs
    assert [one.headers["Content-Range"] for one in fake.requests("PATCH")] == ["0-3999", "4000-5119"]


@pytest.mark.parametrize("kept", [0, 1, 700, 1000])
def test_a_cut_upload_goes_on_from_the_byte_that_arrived(
    fake: FakeRegistry, connect: Connect, growing: GrowingContent, kept: int
):
    fake.fail("PATCH", "", cut_upload_after(kept))
    assert push(connect(), growing) in fake.blobs
    # registries say the same of one byte as of none: that upload begins anew
    assert len(fake.requests("POST")) == (2 if kept == 1 else 1)


FAILURES = {"drops": dropped, "502": status(502), "429": status(429, retry_after="3")}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
def test_a_failing_registry_gets_it_all_the_same(
    fake: FakeRegistry, connect: Connect, growing: GrowingContent, method: str, failure: Act
):
    fake.fail(method, "", failure, times=2)
    assert push(connect(), growing) in fake.blobs


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_forgotten_upload_begins_anew(
    fake: FakeRegistry, connect: Connect, growing: GrowingContent, method: str
):
    def forget(handler: Handler) -> bool:
        handler.registry.uploads.clear()
        return False

    fake.fail(method, "", forget)
    assert push(connect(), growing) in fake.blobs
    assert len(fake.requests("POST")) == 2


def test_one_whose_last_answer_was_lost_is_not_sent_again(
    fake: FakeRegistry, connect: Connect, growing: GrowingContent
):
    def close_and_drop(handler: Handler) -> bool:
        handler.registry.keep(CONTENT)
        handler.registry.uploads.clear()
        return handler.cut()

    fake.fail("PUT", "", close_and_drop)
    push(connect(), growing)
    assert sent_bytes(fake) == len(CONTENT)


def test_the_image_of_what_was_just_sent_asks_for_nothing(
    fake: FakeRegistry, connect: Connect, growing: GrowingContent
):
    async def case() -> None:
        registry = connect()
        blob = await registry.push_growing(REPOSITORY, growing)
        fake.asked.clear()
        assert await registry.has_blob(REPOSITORY, blob.digest)

    asyncio.run(case())
    assert fake.asked == []


@pytest.mark.parametrize("fails_at", [0, 700, 4900])
def test_when_its_writing_fails_nothing_is_stored(
    fake: FakeRegistry, connect: Connect, growing: GrowingContent, fails_at: int
):
    growing.fails_at = fails_at
    with pytest.raises(SystemError_, match="disk is full"):
        push(connect(), growing)
    assert fake.blobs == {}
    assert len(fake.requests("DELETE", "/uploads/")) == len(fake.requests("POST"))


def test_a_full_registry_is_told_at_once(
    fake: FakeRegistry, connect: Connect, growing: GrowingContent, waits: list[float]
):
    fake.fail("PATCH", "", status(507), times=100)
    with pytest.raises(Unavailable, match="full"):
        push(connect(), growing)
    assert waits == []
    assert not growing.is_whole
    assert len(fake.requests("DELETE", "/uploads/u0")) == 1


def test_a_file_that_changes_after_it_was_written_leaves_no_blob(
    fake: FakeRegistry, connect: Connect, growing: GrowingContent
):
    def change(_handler: Handler) -> bool:
        with growing.path.open("r+b") as file:  # in place: it must not be shorter for a moment
            file.write(b"X" * growing.size)
        return False

    fake.fail("PATCH", "", change)
    with pytest.raises(StoreDamaged):
        push(connect(), growing)
    assert fake.blobs == {}


def test_whoever_is_cancelled_gives_the_upload_back(
    fake: FakeRegistry, connect: Connect, growing: GrowingContent
):
    async def case() -> None:
        pushing = asyncio.create_task(connect().push_growing(REPOSITORY, growing))
        loop = asyncio.get_running_loop()

        def cancel(handler: Handler) -> bool:
            loop.call_soon_threadsafe(pushing.cancel)
            handler.registry.ended.wait(0.2)
            return False

        fake.fail("PATCH", "", cancel)
        with pytest.raises(asyncio.CancelledError):
            await pushing

    asyncio.run(case())
    assert len(fake.requests("DELETE", "/uploads/u0")) == 1
    assert fake.blobs == {}


def test_a_blob_of_another_record_of_the_server_is_mounted(fake: FakeRegistry, connect: Connect):
    fake.fail("POST", "mount=", status(201))
    registry = connect(prefix="team")
    assert asyncio.run(registry.mount_from(REPOSITORY, digest_of(CONTENT), f"{fake.host}/bases/python"))
    (asked,) = fake.requests("POST")
    assert asked.path.startswith(f"/v2/team/{REPOSITORY}/blobs/uploads/?mount=sha256")
    assert asked.path.endswith("&from=bases/python")


def test_a_blob_of_another_server_is_not_asked_for(fake: FakeRegistry, connect: Connect):
    assert not asyncio.run(connect().mount_from(REPOSITORY, digest_of(CONTENT), "localhost:1/bases/python"))
    assert fake.asked == []


def test_who_may_not_read_there_has_it_sent(fake: FakeRegistry, connect: Connect):
    fake.fail("POST", "mount=", status(403))
    registry = connect()
    assert not asyncio.run(registry.mount_from(REPOSITORY, digest_of(CONTENT), f"{fake.host}/bases/python"))


def test_a_place_that_is_no_repository_is_refused(fake: FakeRegistry, connect: Connect):
    with pytest.raises(UserError):
        asyncio.run(connect().mount_from(REPOSITORY, digest_of(CONTENT), f"{fake.host}/../secret"))
    assert fake.asked == []
