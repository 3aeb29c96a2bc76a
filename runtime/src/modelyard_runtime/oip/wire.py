"""Protobuf by hand, as far as tensors need it: what is between the fields stays where it was received.

protobuf's own parser would copy a tensor twice, and its objects cost more than a small request's model.
Pure; anything out of the ordinary is left to protobuf itself.
"""

from __future__ import annotations

from functools import lru_cache

from modelyard_runtime.worker.requests import Buffer

_RAW_INPUT = 0x3A
_ID = 0x1A
_LENGTH_DELIMITED = 2
_ONE_BYTE = 0x80
_MAX_VARINT_BITS = 35

_OUTPUT, _OUTPUT_ID, _RAW_OUTPUT = b"\x2a", b"\x1a", b"\x32"


def split_request(body: Buffer, start: int) -> tuple[bytes, bytes, list[memoryview]] | None:
    """Split a ModelInferRequest that begins at `start` into its head without the id, the id, and raw contents.

    None where the fields are not in the order that every serialiser writes them in.
    """
    position, end = start, len(body)
    head_start, head_end = start, end
    before = identifier = b""
    raws: list[memoryview] = []
    while position < end:
        tag, begun = body[position], position
        position += 1
        if tag & 7 != _LENGTH_DELIMITED or tag >= _ONE_BYTE or position >= end:
            return None
        length = body[position]
        position += 1
        if length >= _ONE_BYTE:
            length, position = _varint(body, position - 1, end)
        following = position + length
        if following > end or length < 0:
            return None
        if tag == _RAW_INPUT:
            if not raws:
                view, head_end = memoryview(body), begun
            raws.append(view[position:following])
        elif raws:
            return None
        elif tag == _ID:
            if head_start != start:
                return None
            before, identifier = bytes(body[head_start:begun]), bytes(body[position:following])
            head_start = following
        position = following
    return before + bytes(body[head_start:head_end]), identifier, raws


def _varint(body: Buffer, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < _MAX_VARINT_BITS:
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < _ONE_BYTE:
            return value, position
        shift += 7
    return -1, position


def varint(value: int) -> bytes:
    """Write a length."""
    written = bytearray()
    while value >= _ONE_BYTE:
        written.append(value & 0x7F | _ONE_BYTE)
        value >>= 7
    written.append(value)
    return bytes(written)


def field(tag: bytes, content: bytes) -> bytes:
    """Write a length-delimited field; an empty one is not written."""
    return tag + varint(len(content)) + content if content else b""


@lru_cache(maxsize=256)
def model_fields(model: str, version: str) -> bytes:
    """Write a ModelInferResponse's model_name and model_version."""
    return field(b"\x0a", model.encode()) + field(b"\x12", version.encode())


def id_field(identifier: bytes) -> bytes:
    """Write a ModelInferResponse's id."""
    return field(_OUTPUT_ID, identifier)


@lru_cache(maxsize=512)
def output_field(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    """Write one of a ModelInferResponse's outputs, whose bytes travel apart."""
    sizes = b"".join(varint(size) for size in shape)
    described = field(b"\x0a", name.encode()) + field(b"\x12", datatype.encode()) + field(b"\x1a", sizes)
    return _OUTPUT + varint(len(described)) + described


def raw_field(length: int) -> bytes:
    """Write what stands before one of a ModelInferResponse's raw_output_contents."""
    return _RAW_OUTPUT + varint(length)
