"""The front's end of the line to a worker: frames over a socket that the event loop watches, never blocking.

Knows sockets and shared memory; what the frames mean is `worker_process`'s business.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial

from modelyard_runtime.scoring.streams import DEPTH
from modelyard_runtime.worker.frames import (
    CANCEL,
    CREDIT,
    DROP,
    KEPT,
    MORE,
    RELEASE,
    TRIM,
    Frame,
    FrameError,
    Plain,
    encode,
    encode_shared,
    split,
)
from modelyard_runtime.worker.link import numbers, pack_numbers
from modelyard_runtime.worker.segments import INLINE_BYTES, Inbox, Outbox, announce_over, receive_over

_CHUNK = 64 * 1024
_CREDIT_STEP = DEPTH // 2
"""Credit is given for so many pieces at once: a frame for each would cost as much as the piece."""
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)


class Line:
    """`heard` gets each frame; then, once, `hung_up` is called, or `broken` with what was wrong."""

    def __init__(
        self,
        channel: socket.socket,
        handles: socket.socket,
        *,
        heard: Callable[[Frame], None],
        broken: Callable[[str], None],
        hung_up: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._handles = handles
        self._heard = heard
        self._broken = broken
        self._hung_up = hung_up
        self._unread = b""
        self._unsent = b""
        self._held: list[bytes] = []
        self._outbox = Outbox(announce_over(handles))
        self._lent: dict[int, int] = {}
        self.inbox = Inbox(receive_over(handles))
        self._ending = False
        self._closed = False
        self._loop.add_reader(channel, self._readable)

    @property
    def lent(self) -> int:
        """How many requests lie in shared memory."""
        return len(self._lent)

    def send(self, kind: int, number: int, fields: Sequence[Plain], flags: int = 0) -> None:
        """Send a frame. Raises `FrameError` and OSError where it cannot be carried."""
        self.write(self.pack(kind, number, fields, flags))

    def pack(self, kind: int, number: int, fields: Sequence[Plain], flags: int = 0) -> bytes:
        """Return a frame to `write`, its large fields in shared memory. Raises `FrameError`, OSError."""
        if sum(map(len, fields)) > INLINE_BYTES:
            shared, self._lent[number] = self._outbox.share(fields)
            return encode_shared(kind, number, shared, flags)
        return encode(kind, number, fields, flags)

    def write(self, data: bytes) -> None:
        """Send packed frames now, or as soon as the socket takes them."""
        if self._held:
            data = b"".join([*self._held, data])
            self._held.clear()
        if self.inbox.in_use and (finished := self.inbox.finished()):
            data = encode(RELEASE, 0, [pack_numbers(finished)]) + data
        if self._unsent:
            self._unsent += data
            return
        sent = self._try(data)
        if sent < len(data):
            self._unsent = data[sent:]
            self._loop.add_writer(self._channel, self._writable)

    def write_soon(self, data: bytes) -> None:
        """Send packed frames together with others of this turn of the loop: the worker does not wait for them."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def settle(self, frame: Frame) -> None:
        """Learn from a request's end what became of the memory it travelled in."""
        if self._lent:
            segment = self._lent.pop(frame.number, 0)
            if frame.flags & KEPT:
                self._outbox.forget(segment)
            else:
                self._outbox.take_back(segment)

    def tidy(self) -> None:
        """Give back the shared memory that nobody needed lately; the worker is asked to do the same."""
        if idle := self._outbox.trim():
            self.send(DROP, 0, [pack_numbers(idle)])
        if self.inbox.count:
            self.send(TRIM, 0, [])

    def drain(self) -> None:
        """Hear what a worker that has ended still said."""
        self._ending = True
        while not self._closed and self._read():
            pass

    def close(self) -> None:
        """Hang up and give back all shared memory."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._channel)
        self._loop.remove_writer(self._channel)
        self._channel.close()
        self._handles.close()
        self._outbox.close()
        self.inbox.close()

    def _flush(self) -> None:
        if self._held and not self._closed:
            self.write(b"")

    def _readable(self) -> None:
        self._read()

    def _read(self) -> bool:
        """Return whether there may be more to read."""
        try:
            data = self._channel.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # reset: it died with something unread
            data = b""
        if not data:
            return self._over(self._hung_up)
        try:
            frames, self._unread = split(self._unread + data if self._unread else data)
            for frame in frames:
                if frame.kind == DROP:
                    for number in numbers(frame):
                        self.inbox.drop(number)
                else:
                    self._heard(frame)
        except FrameError as error:
            return self._over(partial(self._broken, f"it wrote what is no message: {error}"))
        return True

    def _over(self, tell: Callable[[], None]) -> bool:
        if not self._ending:
            self._ending = True
            self._loop.remove_reader(self._channel)
            tell()
        return False

    def _writable(self) -> None:
        self._unsent = self._unsent[self._try(self._unsent) :]
        if not self._unsent:
            self._loop.remove_writer(self._channel)

    def _try(self, data: bytes) -> int:
        """Return how much the socket took; a dead one takes everything, since its end is heard by reading."""
        try:
            return self._channel.send(data, _NO_SIGNAL)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)


class Credit:
    """What the reader of one stream tells the worker."""

    __slots__ = ("_line", "_number", "_owed")

    def __init__(self, line: Line, number: int) -> None:
        self._line = line
        self._number = number
        self._owed = 0

    def taken(self) -> None:
        """Pass on that a piece was read."""
        self._owed += 1
        if self._owed >= _CREDIT_STEP:
            self._line.send(CREDIT, self._number, [], self._owed)
            self._owed = 0

    def left(self) -> None:
        """Pass on that nobody reads any more."""
        self._line.send(CANCEL, self._number, [])


def batch(frames: list[bytes]) -> bytes:
    """Join packed requests, all flagged `MORE`, into one batch: the last of them has none after it."""
    *others, last = frames
    return b"".join([*others, last[:3], bytes([last[3] & ~MORE]), last[4:]])
