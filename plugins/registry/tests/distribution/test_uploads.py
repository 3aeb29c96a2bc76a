"""An upload survives what networks and registries do to it, and sends no byte twice without need."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest
from modelyard.api import StoreDamaged, Unavailable, UserError
from modelyard_registry.distribution.messages import PIECE_BYTES
from modelyard_registry.distribution.session import Limits
from modelyard_registry.distribution.uploads import MOST_UNASKED_BYTES

from plugins.registry.tests.distribution.conftest import Connect, Uploaded
from plugins.registry.tests.distribution.fake import (
    Act,
    FakeRegistry,
    Handler,
    cut_upload_after,
    digest_of,
    dropped,
    errors,
    status,
)

REPOSITORY = "models/digits"
TYPE = "application/octet-stream"


def sent(fake: FakeRegistry) -> int:
    return sum(int(one.headers["Content-Length"]) for one in fake.asked if one.method in ("PATCH", "PUT"))


def test_a_small_blob_is_one_body_and_no_question(fake: FakeRegistry, connect: Connect):
    pushed = asyncio.run(connect().push_blob(REPOSITORY, b"weights", TYPE))
    assert fake.blobs == {pushed.digest: b"weights"}
    assert [one.method for one in fake.asked] == ["POST", "PUT"]


def test_a_larger_one_that_is_there_is_not_sent(fake: FakeRegistry, connect: Connect):
    content = b"w" * (MOST_UNASKED_BYTES + 1)
    fake.keep(content)
    asyncio.run(connect().push_blob(REPOSITORY, content, TYPE))
    assert [one.method for one in fake.asked] == ["HEAD"]


def test_a_small_one_that_was_there_a_moment_ago_is_not_sent(fake: FakeRegistry, connect: Connect):
    async def case() -> None:
        registry = connect()
        for _ in range(2):
            await registry.push_blob(REPOSITORY, b"weights", TYPE)

    asyncio.run(case())
    assert [one.method for one in fake.asked] == ["POST", "PUT"]


def test_a_small_one_whose_upload_is_lost_is_looked_for_before_it_is_sent_again(
    fake: FakeRegistry, connect: Connect
):
    fake.fail("PUT", "", status(404, errors("BLOB_UPLOAD_UNKNOWN", "blob upload unknown")))
    pushed = asyncio.run(connect().push_blob(REPOSITORY, b"weights", TYPE))
    assert fake.blobs == {pushed.digest: b"weights"}
    assert [one.method for one in fake.asked] == ["POST", "PUT", "HEAD", "POST", "PUT"]


def test_a_large_blob_goes_in_pieces_that_say_where_they_belong(
    fake: FakeRegistry, connect: Connect, weights: Uploaded
):
    pushed = asyncio.run(connect(chunk_bytes=2000).push_blob(REPOSITORY, weights.file, TYPE))
    assert fake.blobs[pushed.digest] == weights.content
    ranges = [one.headers["Content-Range"] for one in fake.requests("PATCH")]
    assert ranges == ["0-1999", "2000-3999", "4000-5119"]


def test_a_registry_may_ask_for_larger_pieces(fake: FakeRegistry, connect: Connect, weights: Uploaded):
    fake.headers["oci-chunk-min-length"] = "4000"
    asyncio.run(connect(chunk_bytes=100).push_blob(REPOSITORY, weights.file, TYPE))
    assert [one.headers["Content-Range"] for one in fake.requests("PATCH")] == ["0-3999", "4000-5119"]


@pytest.mark.parametrize("kept", [0, 1, 700, 2000])
def test_a_cut_upload_goes_on_from_the_byte_that_arrived(
    fake: FakeRegistry, connect: Connect, weights: Uploaded, kept: int
):
    fake.fail("PATCH", "", cut_upload_after(kept))
    pushed = asyncio.run(connect(chunk_bytes=2000).push_blob(REPOSITORY, weights.file, TYPE))
    assert fake.blobs[pushed.digest] == weights.content
    # registries say the same of one byte as of none: that upload begins anew
    assert len(fake.requests("POST")) == (2 if kept == 1 else 1)


def test_only_what_was_lost_is_sent_again(fake: FakeRegistry, connect: Connect, weights: Uploaded):
    fake.fail("PATCH", "", cut_upload_after(1900))
    asyncio.run(connect(chunk_bytes=2000).push_blob(REPOSITORY, weights.file, TYPE))
    assert sent(fake) == len(weights.content) + 100


FAILURES = {"drops": dropped, "502": status(502), "429": status(429, retry_after="3")}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
def test_a_failing_registry_gets_the_blob_all_the_same(
    fake: FakeRegistry, connect: Connect, weights: Uploaded, method: str, failure: Act
):
    fake.fail(method, "", failure, times=2)
    pushed = asyncio.run(connect(chunk_bytes=2000).push_blob(REPOSITORY, weights.file, TYPE))
    assert fake.blobs[pushed.digest] == weights.content


def test_a_forgotten_upload_begins_anew(fake: FakeRegistry, connect: Connect, weights: Uploaded):
    def forget(handler: Handler) -> bool:
        handler.registry.uploads.clear()
        return False

    fake.fail("PATCH", "", forget)
    pushed = asyncio.run(connect(chunk_bytes=2000).push_blob(REPOSITORY, weights.file, TYPE))
    assert fake.blobs[pushed.digest] == weights.content
    assert len(fake.requests("POST")) == 2


def test_an_upload_whose_last_answer_was_lost_is_not_sent_again(
    fake: FakeRegistry, connect: Connect, weights: Uploaded
):
    def close_and_drop(handler: Handler) -> bool:
        handler.registry.keep(weights.content)
        return handler.cut()

    fake.fail("PUT", "", close_and_drop)
    asyncio.run(connect(chunk_bytes=2000).push_blob(REPOSITORY, weights.file, TYPE))
    assert sent(fake) == len(weights.content)


@pytest.mark.parametrize("failure", [dropped, status(500)], ids=["drops", "500"])
def test_an_upload_that_cannot_be_closed_at_once_is_not_sent_again(
    fake: FakeRegistry, connect: Connect, weights: Uploaded, failure: Act
):
    fake.fail("PUT", "", failure, times=3)
    pushed = asyncio.run(connect(chunk_bytes=2000).push_blob(REPOSITORY, weights.file, TYPE))
    assert fake.blobs[pushed.digest] == weights.content
    assert sent(fake) == len(weights.content)


def test_an_upload_that_is_never_closed_is_given_up(fake: FakeRegistry, connect: Connect, weights: Uploaded):
    fake.fail("PUT", "", status(500), times=1000)
    with pytest.raises(Unavailable, match="500"):
        asyncio.run(connect(chunk_bytes=2000).push_blob(REPOSITORY, weights.file, TYPE))
    assert len(fake.asked) < 100


def test_a_piece_of_absurd_size_is_not_asked_for(fake: FakeRegistry, connect: Connect, weights: Uploaded):
    fake.headers["oci-chunk-min-length"] = "9" * 5000
    asyncio.run(connect(chunk_bytes=2000).push_blob(REPOSITORY, weights.file, TYPE))
    assert len(fake.requests("PATCH")) == 3


def test_a_registry_that_keeps_nothing_is_given_up(fake: FakeRegistry, connect: Connect, weights: Uploaded):
    def swallow(handler: Handler) -> bool:
        handler.body()
        return handler.answer(202, range="0-0")

    fake.fail("PATCH", "", swallow, times=1000)
    with pytest.raises(Unavailable, match="keeps nothing"):
        asyncio.run(connect(chunk_bytes=2000).push_blob(REPOSITORY, weights.file, TYPE))
    assert len(fake.asked) < 100


@pytest.mark.parametrize(
    "full",
    [
        status(507),
        status(500, errors("UNKNOWN", "write /data: no space left on device")),
        status(500, b'{"errors":[{"code":"UNKNOWN","detail":{"Enclosed":{"Op":"write","Err":28}}}]}'),
    ],
    ids=["507", "words", "errno"],
)
def test_a_full_registry_is_told_at_once(
    fake: FakeRegistry, connect: Connect, weights: Uploaded, full: Act, waits: list[float]
):
    fake.fail("PATCH", "", full, times=100)
    with pytest.raises(Unavailable, match="full") as caught:
        asyncio.run(connect().push_blob(REPOSITORY, weights.file, TYPE))
    assert "free space" in caught.value.remedy
    assert waits == []
    (abandoned,) = fake.requests("DELETE")
    assert abandoned.path.startswith("/v2/models/digits/blobs/uploads/u0")


def test_a_large_file_that_changes_while_it_is_pushed_leaves_no_blob(
    fake: FakeRegistry, connect: Connect, tmp_path: Path
):
    large = tmp_path / "large"
    large.write_bytes(b"w" * (PIECE_BYTES + 1))

    def change(_handler: Handler) -> bool:
        with large.open("r+b") as file:  # in place: it must not be shorter for a moment
            file.write(b"X" * (PIECE_BYTES + 1))
        return False

    fake.fail("POST", "", change)
    with pytest.raises(StoreDamaged, match="changed"):
        asyncio.run(connect(chunk_bytes=PIECE_BYTES).push_blob(REPOSITORY, large, TYPE))
    assert fake.blobs == {}


def test_a_large_file_that_becomes_shorter_is_named(fake: FakeRegistry, connect: Connect, tmp_path: Path):
    large = tmp_path / "large"
    large.write_bytes(b"w" * (PIECE_BYTES + 1))

    def shorten(_handler: Handler) -> bool:
        large.write_bytes(b"X")
        return False

    fake.fail("POST", "", shorten)
    with pytest.raises(UserError, match="shorter") as caught:
        asyncio.run(connect(chunk_bytes=PIECE_BYTES).push_blob(REPOSITORY, large, TYPE))
    assert caught.value.place == str(large)


def test_a_small_file_is_sent_as_it_was_when_it_was_measured(
    fake: FakeRegistry, connect: Connect, weights: Uploaded
):
    def change(_handler: Handler) -> bool:
        weights.file.write_bytes(b"X")
        return False

    fake.fail("POST", "", change)
    pushed = asyncio.run(connect(chunk_bytes=2000).push_blob(REPOSITORY, weights.file, TYPE))
    assert fake.blobs == {pushed.digest: weights.content}


def test_a_file_that_is_not_there_is_the_callers_to_mend(connect: Connect, tmp_path: Path):
    with pytest.raises(UserError) as caught:
        asyncio.run(connect().push_blob(REPOSITORY, tmp_path / "absent", TYPE))
    assert caught.value.place == str(tmp_path / "absent")


def test_only_so_many_uploads_run_at_once(fake: FakeRegistry, connect: Connect):
    most = list[int]()

    def begin(handler: Handler) -> bool:
        most.append(len(handler.registry.uploads))
        return False

    fake.fail("PUT", "", begin, times=100)

    async def case() -> None:
        registry = connect()
        contents = [f"layer {number}".encode() for number in range(12)]
        await asyncio.gather(*(registry.push_blob(REPOSITORY, one, TYPE) for one in contents))

    asyncio.run(case())
    assert len(fake.blobs) == 12
    assert max(most) <= Limits().uploads


def test_memory_stays_flat_whatever_a_layer_weighs(fake: FakeRegistry, connect: Connect, tmp_path: Path):
    def discard(handler: Handler) -> bool:
        left = int(handler.headers["Content-Length"])
        while left:
            left -= len(handler.rfile.read(min(left, 65_536)))
        return handler.answer(202, range=f"0-{size - 1}")

    size = 64 * 1024 * 1024
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    fake.fail("PATCH", "", discard)
    fake.fail("PUT", "", status(201))
    registry = connect(chunk_bytes=size - 1)
    fake.headers["oci-chunk-min-length"] = "0"

    async def case() -> int:
        await registry.push_blob(REPOSITORY, b"the library is loaded", TYPE)
        fake.fail("PUT", "", status(201))
        tracemalloc.start()
        try:
            await registry.push_blob(REPOSITORY, tmp_path / "large", TYPE)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert asyncio.run(case()) < 8 * 1024 * 1024


def test_a_mount_that_the_registry_would_not_do_leaves_no_upload_behind(fake: FakeRegistry, connect: Connect):
    fake.fail("DELETE", "/uploads/", status(204))
    assert not asyncio.run(connect().mount("models/copy", digest_of(b"weights"), REPOSITORY))
    (cancelled,) = fake.requests("DELETE")
    assert "/models/copy/blobs/uploads/u0" in cancelled.path
