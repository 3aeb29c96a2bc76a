"""Frames and what they carry: everything survives the crossing, and damaged bytes are refused."""

from __future__ import annotations

import contextlib
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.scoring.line import batch
from modelyard_runtime.worker import frames
from modelyard_runtime.worker.failures import (
    BadInput,
    Failure,
    InputBroke,
    ResultUnusable,
    RunLeft,
    RunTimedOut,
    ScriptRaised,
)
from modelyard_runtime.worker.frames import Frame, FrameError, Reference, encode, encode_shared, split
from modelyard_runtime.worker.messages import (
    Message,
    read_failure,
    read_head,
    read_reply,
    read_request,
    read_tensors,
    write_failure,
    write_head,
    write_reply,
    write_request,
    write_tensors,
)
from modelyard_runtime.worker.replies import HttpReply, Inferred, Scored
from modelyard_runtime.worker.requests import InferRequest, ScoreRequest, Tensor

NUMBERS = st.integers(0, 2**32 - 1)
REFERENCES = st.builds(Reference, NUMBERS, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
FIELDS = st.lists(st.binary(max_size=200) | REFERENCES, max_size=80)
BYTE = st.integers(0, 255)
FRAMES = st.builds(Frame, BYTE, BYTE, NUMBERS, FIELDS)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
HEADERS = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=40)), max_size=5)
TENSORS = st.lists(
    st.builds(
        Tensor,
        TEXTS,
        st.sampled_from(["FP32", "BYTES", "BF16"]),
        st.lists(st.integers(-(2**63), 2**63 - 1), max_size=12).map(tuple),
        st.binary(max_size=100),
    ),
    max_size=4,
).map(tuple)
SCORES = st.builds(
    ScoreRequest,
    st.sampled_from(["GET", "POST"]),
    st.text(max_size=30),
    st.binary(max_size=30),
    HEADERS,
    st.binary(max_size=300),
)
INFERS = st.builds(InferRequest, TENSORS, st.lists(TEXTS, max_size=3).map(tuple), HEADERS)
ELAPSED = st.floats(allow_nan=False)
REPLIES = (
    st.builds(Scored, st.binary(max_size=300), ELAPSED)
    | st.builds(Inferred, TENSORS, ELAPSED)
    | st.builds(HttpReply, st.integers(0, 65535), HEADERS, st.binary(), st.booleans(), ELAPSED)
)
FAILURES = (
    st.builds(BadInput, TEXTS, place=TEXTS, status=st.sampled_from([400, 415]))
    | st.sampled_from([ScriptRaised, InputBroke, RunTimedOut, RunLeft]).flatmap(
        lambda kind: st.builds(kind, TEXTS)
    )
    | st.builds(ResultUnusable, TEXTS)
)


def carried(message: Message) -> Frame:
    ((frame,), rest) = split(encode(message.kind, 7, message.fields))
    assert rest == b""
    return frame


def plain(field: Any) -> bytes:
    assert type(field) is bytes
    return field


@given(st.lists(FRAMES, max_size=5), st.integers(1, 64))
def test_frames_arrive_whole_however_the_socket_cuts_them(sent: list[Frame], step: int):
    data = b"".join(encode_shared(frame.kind, frame.number, frame.fields, frame.flags) for frame in sent)
    received: list[Frame] = []
    rest = b""
    for at in range(0, len(data), step):
        found, rest = split(rest + data[at : at + step])
        received += found
    assert received == sent
    assert rest == b""


@given(st.binary(max_size=200))
def test_random_bytes_are_waited_for_or_refused_but_never_anything_else(data: bytes):
    with contextlib.suppress(FrameError):
        split(data)


@given(FRAMES, st.data())
def test_a_damaged_frame_is_refused_or_is_another_frame(frame: Frame, data: st.DataObject):
    encoded = bytearray(encode_shared(frame.kind, frame.number, frame.fields, frame.flags))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        for found in split(bytes(encoded))[0]:
            for read in (read_request, read_reply):
                read(found, lambda field: field if type(field) is bytes else memoryview(b""))
    except FrameError:
        pass


@given(SCORES | INFERS)
def test_a_request_arrives_as_it_went(request: ScoreRequest | InferRequest):
    read = read_request(carried(write_request(request, headers=True)), plain)
    assert read == request


@given(SCORES | INFERS)
def test_without_headers_all_else_arrives(request: ScoreRequest | InferRequest):
    read = read_request(carried(write_request(request, headers=False)), plain)
    assert read == request._replace(headers=[])


@given(REPLIES)
def test_a_reply_arrives_as_it_went(reply: Any):
    assert read_reply(carried(write_reply(reply)), plain) == reply


@given(FAILURES)
def test_a_failure_arrives_with_kind_text_place_and_status(failure: Failure):
    read = read_failure(carried(Message(frames.FAILED, write_failure(failure))).fields, plain)
    assert type(read) is type(failure)
    assert str(read) == str(failure)
    assert vars(read) == vars(failure)


@given(st.integers(0, 65535), HEADERS, ELAPSED)
def test_the_head_of_a_stream_arrives_as_it_went(
    status: int, headers: list[tuple[bytes, bytes]], elapsed_ms: float
):
    frame = carried(Message(frames.CHUNKS, write_head(status, headers, elapsed_ms)))
    assert read_head(frame.fields, plain) == (status, headers, elapsed_ms)


@given(TENSORS)
def test_a_part_of_a_stream_arrives_as_it_went(tensors: tuple[Tensor, ...]):
    assert read_tensors(carried(Message(frames.PART, write_tensors(tensors))).fields, plain) == tensors


@given(st.integers(1, 5))
def test_a_batch_ends_with_the_one_request_that_announces_no_other(size: int):
    packed = [encode(frames.SCORE, number, [b"x"], frames.MORE) for number in range(size)]
    found, rest = split(batch(packed))
    assert [frame.flags & frames.MORE for frame in found] == [1] * (size - 1) + [0]
    assert rest == b""


def test_a_header_that_promises_too_much_is_refused_before_anything_is_kept():
    head = struct.pack("<HBBIHI", 0x594D, frames.SCORED, 0, 1, 1, frames.MAX_BODY_BYTES + 1)
    with pytest.raises(FrameError):
        split(head)


def test_what_is_too_large_for_a_frame_is_refused_where_it_is_written():
    with pytest.raises(FrameError):
        encode(frames.SCORE, 1, [bytes(frames.MAX_BODY_BYTES)])
    with pytest.raises(FrameError):
        encode(frames.SCORE, 1, [b""] * 65536)


def test_an_elapsed_time_that_is_no_number_still_arrives():
    reply = read_reply(carried(write_reply(Scored(b"", math.nan))), plain)
    assert math.isnan(reply.elapsed_ms)  # type: ignore[union-attr]
