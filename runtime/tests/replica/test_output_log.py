"""The log on a descriptor: whole lines, nothing lost while somebody reads, nobody held up while nobody does."""

from __future__ import annotations

import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.replica.output_log import LONGEST_LINE, OutputLog


class Pipe:
    """A pipe that is read at once, or only later."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        self.content = b""

    def everything(self) -> bytes:
        """Read until all ends that write are closed."""
        os.close(self.write_end)
        pieces = []
        while piece := os.read(self.read_end, 65536):
            pieces.append(piece)
        os.close(self.read_end)
        return b"".join(pieces)


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


def fed(log: OutputLog, pieces: list[bytes]) -> None:
    """Have the log follow a server that writes these."""
    read_end, write_end = os.pipe()
    thread = log.follow(os.fdopen(read_end, "rb", buffering=0))
    for piece in pieces:
        os.write(write_end, piece)
    os.close(write_end)
    thread.join(10)


@given(st.lists(st.sampled_from([b"a", b"\n", b"bc\n", b"\xff\xfe", b"d" * 100]), max_size=20))
def test_whatever_the_pieces_all_of_it_arrives_in_whole_lines(pieces: list[bytes]):
    pipe = Pipe()
    log = OutputLog(pipe.write_end)
    fed(log, pieces)
    log.close()
    text = b"".join(pieces)
    assert pipe.everything() == (text if text.endswith(b"\n") or not text else text + b"\n")


def test_the_parents_lines_never_stand_within_a_servers_line(pipe: Pipe):
    log = OutputLog(pipe.write_end)
    read_end, write_end = os.pipe()
    thread = log.follow(os.fdopen(read_end, "rb", buffering=0))
    os.write(write_end, b"first\nhalf a ")
    time.sleep(0.05)
    log.say("ready")
    os.write(write_end, b"line\n")
    os.close(write_end)
    thread.join(10)
    log.close()
    lines = pipe.everything().splitlines()
    assert sorted(lines) == [b"first", b"half a line", b"modelyard-replica: ready"]


def test_a_line_without_an_end_is_cut_not_kept_for_ever(pipe: Pipe):
    log = OutputLog(pipe.write_end)
    read_end, write_end = os.pipe()
    thread = log.follow(os.fdopen(read_end, "rb", buffering=0))
    os.write(write_end, b"x" * (LONGEST_LINE + 1))
    assert read_some(pipe, b"x") == b"x" * (LONGEST_LINE + 1) + b"\n"
    os.write(write_end, b"y\n")
    os.close(write_end)
    thread.join(10)
    log.close()
    assert pipe.everything() == b"y\n"


def test_the_end_of_a_stream_that_still_runs_is_not_lost_at_the_close(pipe: Pipe):
    log = OutputLog(pipe.write_end)
    read_end, write_end = os.pipe()
    log.follow(os.fdopen(read_end, "rb", buffering=0))
    os.write(write_end, b"last words")
    deadline = time.monotonic() + 10
    while not log._tails:  # nothing outside shows that they have come
        assert time.monotonic() < deadline
        time.sleep(0.01)
    log.close()
    assert pipe.everything() == b"last words\n"
    os.close(write_end)


def test_a_slow_reader_loses_nothing(pipe: Pipe):
    log = OutputLog(pipe.write_end, queue_bytes=10_000, patience_s=60)
    lines = [b"%06d %s\n" % (number, b"x" * 500) for number in range(1000)]
    got: list[bytes] = []

    def read() -> None:
        while piece := os.read(pipe.read_end, 4096):
            got.append(piece)
            time.sleep(0.0005)

    reader = threading.Thread(target=read)
    reader.start()
    fed(log, lines)
    log.close()
    os.close(pipe.write_end)
    reader.join(30)
    os.close(pipe.read_end)
    assert b"".join(got) == b"".join(lines)


def test_nobody_reading_holds_nobody_up_and_what_was_lost_is_counted(pipe: Pipe):
    log = OutputLog(pipe.write_end, queue_bytes=10_000, patience_s=0.01)
    sent = [b"%06d %s\n" % (number, b"x" * 992) for number in range(500)]
    for line in sent:
        log.write(line)
    log.say("still here")
    log.close()
    reader = threading.Thread(target=lambda: setattr(pipe, "content", read_some(pipe, b"lost here")))
    reader.start()
    reader.join(20)
    lines = pipe.content.splitlines()
    arrived = [line for line in lines if line.endswith(b"x")]
    assert arrived == [line.rstrip(b"\n") for line in sent[: len(arrived)]]
    assert b"modelyard-replica: still here" in lines
    lost = len(sent) - len(arrived)
    assert lines[-1] == b"modelyard-replica: %d lines are lost here: nobody read this log" % lost


def read_some(pipe: Pipe, until: bytes) -> bytes:
    content = b""
    while until not in content:
        content += os.read(pipe.read_end, 65536)
    while not content.endswith(b"\n"):
        content += os.read(pipe.read_end, 65536)
    return content


def test_a_reader_that_has_gone_costs_nothing(pipe: Pipe):
    log = OutputLog(pipe.write_end)
    os.close(pipe.read_end)
    log.say("to nobody")
    log.close()
    os.close(pipe.write_end)


def test_an_end_that_must_not_block_is_waited_for(pipe: Pipe):
    os.set_blocking(pipe.write_end, False)
    log = OutputLog(pipe.write_end)
    sent = b"".join(b"%06d\n" % number for number in range(50_000))
    log.write(sent)
    received = b""
    while len(received) < len(sent):
        received += os.read(pipe.read_end, 65536)
    log.close()
    assert received == sent
    os.close(pipe.write_end)
    os.close(pipe.read_end)
