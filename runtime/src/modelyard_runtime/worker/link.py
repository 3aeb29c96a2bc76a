"""The worker's end of the line to the front: frames in and out, large fields through shared memory."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections import deque
from typing import Deque, List, Sequence

from .frames import (
    CANCEL,
    DROP,
    KEPT,
    Field,
    Frame,
    FrameError,
    Plain,
    Reference,
    encode,
    encode_shared,
    split,
)
from .segments import INLINE_BYTES, Inbox, Outbox, announce_over, receive_over

_CHUNK = 64 * 1024
_STALE_S = 0.001
"""What the front said so recently is not asked for again: short runs save a system call each."""


class FrontGone(Exception):
    """The front has closed its end, or died."""


class Link:
    """One thread reads; any thread may send."""

    def __init__(self, channel: socket.socket, handles: socket.socket) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._rest = b""
        self._heard_at = 0.0
        self._frames: Deque[Frame] = deque()
        self._outbox = Outbox(announce_over(handles))
        self.inbox = Inbox(receive_over(handles))

    def next(self) -> Frame:
        """Wait for a frame. Raises `FrontGone`."""
        while not self._frames:
            self._receive()
        return self._frames.popleft()

    def is_cancelled(self, number: int) -> bool:
        """Whether the front has taken back a request that has not begun."""
        if time.monotonic() - self._heard_at > _STALE_S:
            with contextlib.suppress(BlockingIOError):
                self._receive(socket.MSG_DONTWAIT)
        return any(frame.kind == CANCEL and frame.number == number for frame in self._frames)

    def waiting(self) -> bool:
        """Whether a frame can be had without waiting, or the front has gone."""
        return bool(self._frames) or bool(select.select([self._channel], [], [], 0)[0])

    def send(self, kind: int, number: int, fields: Sequence[Plain], flags: int = 0) -> None:
        """Send a frame. Raises `FrameError` and OSError where it cannot be carried, `FrontGone`."""
        with self._lock:
            if sum(map(len, fields)) > INLINE_BYTES:
                self._write(encode_shared(kind, number, self._outbox.share(fields).fields, flags))
            else:
                self._write(encode(kind, number, fields, flags))

    def detach(self, fields: Sequence[Plain]) -> Sequence[Field]:
        """Return the fields with everything copied that may be a view of the front's memory."""
        if sum(map(len, fields)) > INLINE_BYTES:
            with self._lock:
                return self._outbox.share(fields).fields
        return [bytes(field) for field in fields]

    def send_detached(self, kind: int, number: int, fields: Sequence[Field], flags: int) -> None:
        """Send what `detach` returned."""
        with self._lock:
            self._write(encode_shared(kind, number, fields, flags))

    def fate(self, segment: int) -> int:
        """Return the flag that tells the front whether it may use a request's segment again."""
        return 0 if not segment or self.inbox.settle(segment) else KEPT

    def take_back(self, frame: Frame) -> None:
        """Take back the segments that the front has read."""
        with self._lock:
            for number in numbers(frame):
                self._outbox.take_back(number)

    def drop(self, frame: Frame) -> None:
        """Unmap the segments that the front has closed."""
        for number in numbers(frame):
            self.inbox.drop(number)

    def trim(self, _frame: Frame) -> None:
        """Give back the memory of results that nobody needed lately."""
        with self._lock:
            closed = self._outbox.trim()
            if closed:
                self._write(encode(DROP, 0, [pack_numbers(closed)]))

    def _receive(self, flags: int = 0) -> None:
        try:
            data = self._channel.recv(_CHUNK, flags)
        except BlockingIOError:
            raise
        except OSError as error:
            raise FrontGone from error
        if not data:
            raise FrontGone
        self._heard_at = time.monotonic()
        frames, self._rest = split(self._rest + data if self._rest else data)
        self._frames.extend(frames)

    def _write(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except OSError as error:
            raise FrontGone from error


def segment_of(frame: Frame) -> int:
    """Return the segment that a frame's fields lie in; 0 = none."""
    for field in frame.fields:
        if type(field) is Reference:
            return field.number
    return 0


def pack_numbers(found: Sequence[int]) -> bytes:
    """Write segment numbers as one field."""
    return struct.pack("<%dI" % len(found), *found)


def numbers(frame: Frame) -> List[int]:
    """Read what `pack_numbers` wrote. Raises `FrameError`."""
    if len(frame.fields) != 1 or len(frame.fields[0]) % 4 or type(frame.fields[0]) is Reference:
        raise FrameError("no list of segments")
    return [number for (number,) in struct.iter_unpack("<I", frame.fields[0])]  # type: ignore[arg-type]  # bytes, as checked
