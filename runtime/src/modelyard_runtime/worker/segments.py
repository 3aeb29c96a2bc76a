"""Shared memory between the front and a worker process: one side writes a segment, the other reads it.

The writer makes segments (`Outbox`), copies bytes into them and lends them; the reader (`Inbox`) maps them
read-only and hands out views. A segment is written again only once the reader has proven that no view of
it is left. The proof counts the references to the mapping itself: a view of any kind, numpy's of any
version too, keeps the mapping alive, while `memoryview.release()` notices only those that were made
through that very memoryview.
"""

from __future__ import annotations

import array
import fcntl
import mmap
import os
import socket
import struct
import sys
import tempfile
import time
from typing import Callable, Dict, List, NamedTuple, Sequence, Set, Union
from weakref import WeakSet

from .frames import Field, FrameError, Plain, Reference

INLINE_BYTES = 64 * 1024
"""Messages up to this size go through the socket: below it, copying twice costs less than sharing."""
_WORTH_SHARING = 512
"""In a larger message, shorter fields still go through the socket."""
_SMALLEST = 256 * 1024
_ALIGNMENT = 64
IDLE_S = 10.0
"""A segment that nobody needed for so long is given back to the system."""
_ANNOUNCEMENT = struct.Struct("<IQ")
_ADD_SEALS, _GET_SEALS = 1033, 1034  # fcntl names them from Python 3.9 on
_SEALS = 0x1 | 0x2 | 0x4  # no more seals, no shrinking (a reader would die of SIGBUS), no growing
_CLOSED_IN_CHILDREN = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
MAX_KEPT = 64
"""Each segment that a script holds on to costs a file descriptor: past these it is given copies."""


class _Segment:
    __slots__ = ("mapping", "number", "size", "used_at")

    def __init__(self, number: int, size: int, mapping: mmap.mmap) -> None:
        self.number = number
        self.size = size
        self.mapping = mapping
        self.used_at = 0.0


class Shared(NamedTuple):
    """Fields with the large ones replaced by references into the segment `number`; 0 = none was needed."""

    fields: Sequence[Field]
    number: int


class Outbox:
    """Segments that this side writes. `announce` sends a file descriptor to the reader."""

    def __init__(self, announce: Callable[[bytes, int], None]) -> None:
        self._announce = announce
        self._free: List[_Segment] = []
        self._lent: Dict[int, _Segment] = {}
        self._made = 0

    @property
    def count(self) -> int:
        """How many segments there are."""
        return len(self._free) + len(self._lent)

    def share(self, fields: Sequence[Plain]) -> Shared:
        """Copy what is too large for the socket into a segment and lend it. Raises OSError."""
        large = [field for field in fields if len(field) > _WORTH_SHARING]
        segment = self._lend(sum(_aligned(len(field)) for field in large))
        shared: List[Field] = []
        at = 0
        for field in fields:
            length = len(field)
            if length > _WORTH_SHARING:
                segment.mapping[at : at + length] = field
                shared.append(Reference(segment.number, at, length))
                at += _aligned(length)
            else:
                shared.append(field)
        return Shared(shared, segment.number)

    def take_back(self, number: int) -> None:
        """Use a segment again: the reader has proven that nothing views it any more."""
        segment = self._lent.pop(number, None)
        if segment is not None:
            self._free.append(segment)

    def forget(self, number: int) -> None:
        """Leave a segment to the reader, who holds on to it."""
        segment = self._lent.pop(number, None)
        if segment is not None:
            segment.mapping.close()

    def trim(self, idle_s: float = IDLE_S) -> list[int]:
        """Close the segments nobody needed lately; the reader must be told to drop them."""
        limit = time.monotonic() - idle_s
        idle = [segment for segment in self._free if segment.used_at <= limit]
        self._free = [segment for segment in self._free if segment.used_at > limit]
        return [_close(segment) for segment in idle]

    def close(self) -> None:
        """Unmap everything."""
        for segment in (*self._free, *self._lent.values()):
            segment.mapping.close()
        self._free, self._lent = [], {}

    def _lend(self, size: int) -> _Segment:
        fitting = [segment for segment in self._free if segment.size >= size]
        segment = min(fitting, key=lambda one: one.size) if fitting else self._make(size)
        if fitting:
            self._free.remove(segment)
        segment.used_at = time.monotonic()
        self._lent[segment.number] = segment
        return segment

    def _make(self, size: int) -> _Segment:
        size = max(_SMALLEST, 1 << (size - 1).bit_length())
        handle = _memory(size)
        try:
            mapping = mmap.mmap(handle, size)
            self._made += 1
            self._announce(_ANNOUNCEMENT.pack(self._made, size), handle)
        finally:
            os.close(handle)
        return _Segment(self._made, size, mapping)


class Inbox:
    """Segments that this side reads. `receive` returns the next announcement and its descriptor."""

    def __init__(self, receive: Callable[[], tuple[bytes, int]]) -> None:
        self._receive = receive
        self._mappings: Dict[int, mmap.mmap] = {}
        self._kept: WeakSet[mmap.mmap] = WeakSet()
        self.in_use: Set[int] = set()
        """Segments read and not yet returned."""
        self._idle_references = 0

    def read(self, field: Union[bytes, Reference]) -> Union[bytes, memoryview]:
        """Return the bytes of a field: its own, or a read-only view. Raises `FrameError`, OSError."""
        if type(field) is not Reference:
            return field  # type: ignore[return-value]  # told apart one line above
        while field.number not in self._mappings:
            self._map(*self._receive())
        mapping = self._mappings[field.number]
        if field.offset + field.length > len(mapping):
            raise FrameError("a reference beyond its segment")
        self.in_use.add(field.number)
        view = memoryview(mapping)[field.offset : field.offset + field.length]
        return view if len(self._kept) < MAX_KEPT else bytes(view)

    @property
    def count(self) -> int:
        """How many segments are mapped."""
        return len(self._mappings)

    def finished(self) -> list[int]:
        """Return the segments read since they were last returned, of which no view is left."""
        free = [number for number in self.in_use if self._references(number) <= self._idle_references]
        self.in_use.difference_update(free)
        return free

    def settle(self, number: int) -> bool:
        """Return whether the segment may be written again; if not, it is left to the views that remain."""
        self.in_use.discard(number)
        if self._references(number) <= self._idle_references:
            return True
        self._kept.add(self._mappings.pop(number))
        return False

    def drop(self, number: int) -> None:
        """Unmap a segment that the writer has closed."""
        self.in_use.discard(number)
        self._mappings.pop(number, None)

    def close(self) -> None:
        """Unmap what nobody views."""
        self.in_use.clear()
        self._mappings.clear()

    def _map(self, announcement: bytes, handle: int) -> None:
        try:
            number, size = _ANNOUNCEMENT.unpack(announcement)
            if os.fstat(handle).st_size < size or not _is_sealed(handle):
                raise FrameError("a segment smaller than announced, or that could become so")
            self._mappings[number] = mmap.mmap(handle, size, access=mmap.ACCESS_READ)
        except (struct.error, ValueError) as error:
            raise FrameError("an announcement that makes no sense") from error
        finally:
            os.close(handle)
        self._idle_references = self._references(number)

    def _references(self, number: int) -> int:
        return sys.getrefcount(self._mappings[number])


def announce_over(channel: socket.socket) -> Callable[[bytes, int], None]:
    """Return how to send a segment's descriptor over this socket."""

    def announce(announcement: bytes, handle: int) -> None:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [handle]))
        channel.sendmsg([announcement], [rights])

    return announce


def receive_over(channel: socket.socket) -> Callable[[], tuple[bytes, int]]:
    """Return how to receive the next descriptor; raises `FrameError` where none comes."""

    def receive() -> tuple[bytes, int]:
        handles = array.array("i")
        try:
            said, ancillary, _, _ = channel.recvmsg(
                _ANNOUNCEMENT.size, socket.CMSG_SPACE(handles.itemsize), _CLOSED_IN_CHILDREN
            )
        except BlockingIOError as error:
            raise FrameError("a reference to a segment that was never announced") from error
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                handles.frombytes(data[: handles.itemsize])
        if not handles:
            raise FrameError("a segment was announced without its descriptor")
        return said, handles[0]

    return receive


def _memory(size: int) -> int:
    if sys.platform == "linux":
        handle = os.memfd_create("modelyard", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    try:
        os.ftruncate(handle, size)
        if sys.platform == "linux":
            fcntl.fcntl(handle, _ADD_SEALS, _SEALS)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _is_sealed(handle: int) -> bool:
    return sys.platform != "linux" or fcntl.fcntl(handle, _GET_SEALS) & _SEALS == _SEALS


def _aligned(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT


def _close(segment: _Segment) -> int:
    segment.mapping.close()
    return segment.number
