"""The log of a replica in a container: whole lines on standard output, where the container's own log finds them.

A queue and one thread that writes. Whoever reads slowly holds the server up for a moment; whoever does not read
at all holds up nobody, and finds how many lines were lost.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections import deque
from typing import BinaryIO

QUEUE_BYTES = 1024 * 1024
PATIENCE_S = 1.0
"""A full queue holds a server's output up for this long, once; then lines are lost until somebody reads again."""
LONGEST_LINE = 16 * 1024
"""A longer one is cut: so do the logs of containers."""
CLOSE_S = 5.0
"""How long the end waits for whoever reads."""
_CHUNK_BYTES = 65536


class OutputLog:
    """A log that is a descriptor of the container's."""

    def __init__(
        self, descriptor: int = 1, *, queue_bytes: int = QUEUE_BYTES, patience_s: float = PATIENCE_S
    ) -> None:
        self._descriptor = descriptor
        self._queue_bytes = queue_bytes
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._held = 0
        """Bytes that are not written yet, those being written included."""
        self._stuck = False
        self._lost = 0
        self._tails: dict[BinaryIO, bytes] = {}
        """What each stream has of a line that is not whole yet."""
        self._writer: threading.Thread | None = None

    def write(self, data: bytes) -> None:
        """Append whole lines; waits a moment for whoever reads."""
        with self._changed:
            if not self._fits(data) and not self._stuck:
                self._stuck = not self._changed.wait_for(lambda: self._fits(data), self._patience_s)
            self._put(data, room=self._queue_bytes)

    def say(self, text: str) -> None:
        """Add a line of the parent's own; never waits, and finds room where a server's lines find none."""
        with self._changed:
            self._put(f"modelyard-replica: {text}\n".encode(), room=2 * self._queue_bytes)

    def follow(self, stream: BinaryIO) -> threading.Thread:
        """Copy a server's output until it ends, on a thread."""
        thread = threading.Thread(target=self._follow, args=(stream,), name="log", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Wait until everything is written, unless nobody reads."""
        for stream in tuple(self._tails):
            self._end_line(stream)
        with self._changed:
            self._changed.wait_for(lambda: not self._held, CLOSE_S)

    def _follow(self, stream: BinaryIO) -> None:
        with stream:
            while data := os.read(stream.fileno(), _CHUNK_BYTES):
                self._take(stream, data)
            self._end_line(stream)

    def _take(self, stream: BinaryIO, data: bytes) -> None:
        data = self._tails.pop(stream, b"") + data
        end = data.rfind(b"\n") + 1
        tail = data[end:]
        if len(tail) > LONGEST_LINE:
            data, end, tail = data + b"\n", len(data) + 1, b""
        if tail:
            self._tails[stream] = tail
        if end:
            self.write(data[:end])

    def _end_line(self, stream: BinaryIO) -> None:
        tail = self._tails.pop(stream, b"")
        if tail:
            self.write(tail + b"\n")

    def _fits(self, data: bytes) -> bool:
        return not self._held or self._held + len(data) <= self._queue_bytes

    def _put(self, data: bytes, *, room: int) -> None:
        if self._held and self._held + len(data) > room:
            self._lost += data.count(b"\n")
            return
        self._waiting.append(data)
        self._held += len(data)
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_all, name="output", daemon=True)
            self._writer.start()
        self._changed.notify_all()

    def _write_all(self) -> None:
        while True:
            data = self._next()
            with contextlib.suppress(OSError):  # whoever read has gone: there is nobody to tell
                _write(self._descriptor, data)
            with self._changed:
                self._held -= len(data)
                self._stuck = False
                if self._lost:
                    self._lost, lost = 0, self._lost
                    self._put(_complaint(lost), room=2 * self._queue_bytes)
                self._changed.notify_all()

    def _next(self) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            return self._waiting.popleft()


def _complaint(lost: int) -> bytes:
    lines = "a line is" if lost == 1 else f"{lost} lines are"
    return f"modelyard-replica: {lines} lost here: nobody read this log\n".encode()


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # another holder of this end wants it so
            select.select([], [descriptor], [])
