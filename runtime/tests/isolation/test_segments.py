"""Shared memory: written again only when nobody reads it, given up when the script keeps it."""

from __future__ import annotations

import array
import contextlib
import gc
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modelyard_runtime.worker import segments
from modelyard_runtime.worker.frames import FrameError, Reference
from modelyard_runtime.worker.segments import Inbox, Outbox, announce_over, receive_over

LARGE = 100_000


class Pair:
    """A writer and a reader over one socket pair."""

    def __init__(self) -> None:
        self.ends = socket.socketpair()
        for end in self.ends:
            end.setblocking(False)
        self.outbox = Outbox(announce_over(self.ends[0]))
        self.inbox = Inbox(receive_over(self.ends[1]))

    def send(self, *fields: bytes) -> tuple[int, list[bytes | memoryview]]:
        shared, number = self.outbox.share(fields)
        return number, [self.inbox.read(field) for field in shared]  # type: ignore[arg-type]

    def close(self) -> None:
        self.outbox.close()
        self.inbox.close()
        for end in self.ends:
            end.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    one = Pair()
    yield one
    one.close()


@settings(max_examples=25)
@given(st.lists(st.lists(st.integers(0, 300_000), min_size=1, max_size=4), min_size=1, max_size=8), st.data())
def test_what_is_read_is_what_was_written_whatever_is_reused_meanwhile(
    messages: list[list[int]], data: st.DataObject
):
    with contextlib.closing(Pair()) as pair:
        held: list[tuple[int, list[bytes | memoryview], list[bytes]]] = []
        for index, lengths in enumerate(messages):
            sent = [bytes([index + 1]) * length for length in [*lengths, LARGE]]
            held.append((*pair.send(*sent), sent))
            if data.draw(st.booleans()):
                freed, views, sent = held.pop(data.draw(st.integers(0, len(held) - 1)))
                assert list(map(bytes, views)) == sent
                del views
                assert pair.inbox.settle(freed)
                pair.outbox.take_back(freed)
        assert all(list(map(bytes, views)) == sent for _, views, sent in held)
        held.clear()


def test_a_segment_that_was_returned_is_used_again(pair: Pair):
    numbers = set()
    for _ in range(5):
        number, views = pair.send(bytes(LARGE))
        del views
        assert pair.inbox.settle(number)
        pair.outbox.take_back(number)
        numbers.add(number)
    assert numbers == {1}


@pytest.mark.parametrize("keep", [memoryview, lambda view: np.frombuffer(view, "u1")[10:20].reshape(2, 5)])
def test_a_view_that_is_kept_keeps_its_bytes(pair: Pair, keep: Callable[[Any], Any]):
    number, views = pair.send(b"a" * LARGE)
    kept = keep(views[0])
    del views
    assert not pair.inbox.settle(number)
    pair.outbox.forget(number)
    for _ in range(3):
        other, views = pair.send(b"b" * LARGE)
        del views
        assert other != number
        assert pair.inbox.settle(other)
        pair.outbox.take_back(other)
    assert set(bytes(kept)) == {ord("a")}


def test_views_cannot_be_written(pair: Pair):
    _, (view,) = pair.send(bytes(LARGE))
    with pytest.raises(TypeError):
        view[0] = 1  # type: ignore[index]
    assert not np.frombuffer(view, "u1").flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        np.frombuffer(view, "u1").flags.writeable = True


def test_a_script_that_keeps_very_many_gets_copies_in_the_end(pair: Pair):
    kept = []
    for _ in range(segments.MAX_KEPT + 5):
        number, views = pair.send(bytes(LARGE))
        kept.append(views[0])
        del views
        if pair.inbox.settle(number):
            pair.outbox.take_back(number)
        else:
            pair.outbox.forget(number)
    assert [type(one) for one in kept[-5:]] == [bytes] * 5
    assert open_files() < 300
    kept.clear()
    gc.collect()
    assert type(pair.send(bytes(LARGE))[1][0]) is memoryview


def test_all_descriptors_and_memory_are_given_back():
    before = open_files()
    pair = Pair()
    held = [pair.send(bytes(3_000_000)) for _ in range(5)]
    assert open_files() > before
    for number, views in held:
        views.clear()
        pair.inbox.settle(number)
        pair.outbox.take_back(number)
    for number in pair.outbox.trim(idle_s=0):
        pair.inbox.drop(number)
    assert pair.outbox.count == pair.inbox.count == 0
    assert open_files() == before + 2
    pair.close()
    assert open_files() == before


def test_only_what_was_idle_for_long_is_trimmed(pair: Pair):
    number, views = pair.send(bytes(LARGE))
    del views
    pair.outbox.take_back(number)
    assert pair.outbox.trim(idle_s=60) == []
    assert pair.outbox.trim(idle_s=0) == [number]


@pytest.mark.parametrize(
    "reference", [Reference(1, 0, 1 << 30), Reference(1, 1 << 40, 1), Reference(9, 0, 1)]
)
def test_a_reference_to_what_is_not_there_is_refused(pair: Pair, reference: Reference):
    pair.send(bytes(LARGE))
    with pytest.raises(FrameError):
        pair.inbox.read(reference)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="seals are Linux's")
def test_memory_that_could_shrink_under_its_reader_is_refused(pair: Pair):
    handle = os.memfd_create("loose")
    os.ftruncate(handle, 4096)
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [handle]))
    pair.ends[0].sendmsg([b"\x07\0\0\0" + (4096).to_bytes(8, "little")], [rights])
    os.close(handle)
    before = open_files()
    with pytest.raises(FrameError):
        pair.inbox.read(Reference(7, 0, 1))
    assert open_files() <= before


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))
