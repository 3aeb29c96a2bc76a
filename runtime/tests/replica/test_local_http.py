"""Answers read off one connection: whole ones are understood, cut ones are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.local_http import read_answer, request


def whole(body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def chunked(pieces: list[bytes]) -> bytes:
    told = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + told + b"0\r\n\r\n"


@given(st.binary(), st.integers(100, 599))
def test_a_body_of_a_told_length_is_read(body: bytes, status: int):
    assert read_answer(whole(body, status)) == (status, body)


@given(st.lists(st.binary(min_size=1)))
def test_a_body_in_chunks_is_put_together(pieces: list[bytes]):
    assert read_answer(chunked(pieces)) == (200, b"".join(pieces))


@given(st.data())
def test_an_answer_that_was_cut_anywhere_is_refused(data: st.DataObject):
    raw = data.draw(st.sampled_from([whole(b"some text"), chunked([b"some", b"text"])]))
    end = raw.index(b"0\r\n\r\n") if b"chunked" in raw else len(raw) - 1
    with pytest.raises(ValueError):  # noqa: PT011  # whatever the cut leaves unreadable
        read_answer(raw[: data.draw(st.integers(0, end))])


def test_nobody_there_is_no_answer(tmp_path: Path):
    assert request(tmp_path / "none", "GET", "/", timeout_s=0.1) is None
