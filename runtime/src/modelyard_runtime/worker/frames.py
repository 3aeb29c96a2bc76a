"""Frames: how the front and a worker process write to each other over their socket.

Pure. A frame is a fixed header and counted fields of bytes; a field that is too large for the socket is
a `Reference` into shared memory instead (`segments`). Nothing here executes or unpickles anything, so the
worst that damaged bytes can do is a `FrameError`.
"""

from __future__ import annotations

import struct
from typing import List, NamedTuple, Sequence, Union

# front to worker
SETUP, SCORE, INFER, CREDIT, CANCEL, RELEASE, TRIM = range(1, 8)
# worker to front
READY, BROKEN, SCORED, HTTP, INFERRED, FAILED, WITHDRAWN = range(16, 23)
CHUNKS, CHUNK, PARTS, PART, END = range(32, 37)
# both ways
DROP = 48

MORE = 1
"""Flag: the next request belongs to the same batch."""
AHEAD = 4
"""Flag: the request was sent before the worker was free, and may be cancelled until it begins."""
KEPT = 2
"""Flag: the request's segment cannot be used again, because the script holds on to it."""

MAX_BODY_BYTES = 64 * 1024 * 1024
"""What goes through the socket is small; a header that says otherwise is damaged."""
_MAGIC = 0x594D
_HEADER = struct.Struct("<HBBIHI")  # magic, kind, flags, number, how many fields, bytes after the header
_REFERENCE = struct.Struct("<IQQ")
_SHARED = 1 << 31
_LENGTHS = [struct.Struct("<%dI" % count) for count in range(64)]
_MAX_FIELDS = 0xFFFF


class FrameError(Exception):
    """The bytes are no frame, or the frame says what it cannot mean."""


class Reference(NamedTuple):
    """A field in shared memory: `length` bytes of segment `number`, from `offset`."""

    number: int
    offset: int
    length: int


Plain = Union[bytes, bytearray, memoryview]
Field = Union[Plain, Reference]


class Frame(NamedTuple):
    """One message. `number` is the request it belongs to, 0 where it belongs to none."""

    kind: int
    flags: int
    number: int
    fields: List[Union[bytes, Reference]]


def encode(kind: int, number: int, fields: Sequence[Plain], flags: int = 0) -> bytes:
    """Write a frame. Raises `FrameError` for one that no reader would take."""
    return _encode(kind, number, fields, list(map(len, fields)), flags)


def encode_shared(kind: int, number: int, fields: Sequence[Field], flags: int = 0) -> bytes:
    """Write a frame, some of whose fields may be references. Raises `FrameError`."""
    plain: List[Plain] = []
    lengths: List[int] = []
    for field in fields:
        if type(field) is Reference:
            plain.append(_REFERENCE.pack(*field))
            lengths.append(_REFERENCE.size | _SHARED)
        else:
            plain.append(field)  # type: ignore[arg-type]  # told apart above
            lengths.append(len(field))
    return _encode(kind, number, plain, lengths, flags)


def _encode(kind: int, number: int, fields: Sequence[Plain], lengths: Sequence[int], flags: int) -> bytes:
    count = len(fields)
    if count > _MAX_FIELDS:
        raise FrameError("a message of %d fields; %d is the most" % (count, _MAX_FIELDS))
    data = b"".join(fields)
    size = len(data) + 4 * count
    if size > MAX_BODY_BYTES:
        raise FrameError("a message of %d bytes; %d is the most" % (size, MAX_BODY_BYTES))
    return _HEADER.pack(_MAGIC, kind, flags, number, count, size) + _table(count).pack(*lengths) + data


def split(data: bytes) -> tuple[list[Frame], bytes]:
    """Cut whole frames off the front of what was received; the rest waits for more. Raises `FrameError`."""
    frames = []
    at, end = 0, len(data)
    while end - at >= _HEADER.size:
        magic, kind, flags, number, count, size = _HEADER.unpack_from(data, at)
        if magic != _MAGIC or size > MAX_BODY_BYTES or 4 * count > size:
            raise FrameError("no frame begins here")
        start = at + _HEADER.size
        at_next = start + size
        if at_next > end:
            break
        frames.append(Frame(kind, flags, number, _fields(data, start, count, at_next)))
        at = at_next
    return frames, data[at:] if at else data


def _fields(data: bytes, start: int, count: int, end: int) -> list[bytes | Reference]:
    fields: List[Union[bytes, Reference]] = []
    at = start + 4 * count
    for length in _table(count).unpack_from(data, start):
        if length & _SHARED:
            if length != _REFERENCE.size | _SHARED or at + _REFERENCE.size > end:
                raise FrameError("a reference of a strange size")
            fields.append(Reference(*_REFERENCE.unpack_from(data, at)))
            at += _REFERENCE.size
        else:
            fields.append(data[at : at + length])
            at += length
    if at != end:
        raise FrameError("the fields do not fill the frame")
    return fields


def _table(count: int) -> struct.Struct:
    return _LENGTHS[count] if count < len(_LENGTHS) else struct.Struct("<%dI" % count)
