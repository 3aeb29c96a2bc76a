"""Tensors in their two forms: raw bytes, taken as a view and never copied, and values one by one.

Pure, and without numpy: a front whose script runs in another process need not load it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

from modelyard_runtime.oip.datatypes import BYTES, DATATYPES, MAX_RANK, Datatype, OipError, count, find
from modelyard_runtime.worker.nested import elements, of_bf16, packed
from modelyard_runtime.worker.requests import Buffer, Tensor

__all__ = ["BYTES", "DATATYPES", "OipError", "Tensor", "from_items", "from_raw", "from_values", "to_values"]

_LENGTH = struct.Struct("<I")
_INFINITE = 0x7F800000
"""Bits of an FP32: greater ones are not numbers."""


def from_raw(name: str, datatype: str, shape: tuple[int, ...], data: Buffer, *, place: str) -> Tensor:
    """Check raw little-endian bytes against their description. Raises `OipError`; copies nothing."""
    size = find(datatype, place=place).size
    elements = count(shape, place=place)
    if not size:
        _check_elements(data, elements, place)
    elif elements * size != len(data):
        raise OipError(
            f"input '{name}': shape {list(shape)} of {datatype} needs {elements * size} bytes,"
            f" {len(data)} came",
            place=place,
        )
    return Tensor(name, datatype, shape, data)


def from_values(name: str, datatype: str, shape: tuple[int, ...], values: Any, *, place: str) -> Tensor:
    """Read elements as JSON has them, flat or nested, in row-major order. Raises `OipError`."""
    kind = find(datatype, place=place)
    elements = count(shape, place=place)
    flat = _flat(values, place)
    _check_count(name, shape, elements, len(flat), place)
    if not kind.takes.issuperset(map(type, flat)):
        number = next(number for number, value in enumerate(flat) if type(value) not in kind.takes)
        raise OipError(
            f"input '{name}': {datatype} cannot hold {_json_name(flat[number])}",
            place=f"{place}.data[{number}]",
        )
    return Tensor(name, datatype, shape, _pack(name, datatype, kind, flat, place, "data"))


def from_items(
    name: str, datatype: str, shape: tuple[int, ...], items: Sequence[Any], *, place: str
) -> Tensor:
    """Read elements that protobuf has typed already. Raises `OipError`."""
    kind = find(datatype, place=place)
    _check_count(name, shape, count(shape, place=place), len(items), place)
    return Tensor(name, datatype, shape, _pack(name, datatype, kind, items, place, "contents"))


def to_values(tensor: Tensor) -> Sequence[Any]:
    """Return a tensor's elements, flat; BYTES as text. Raises `OipError` for BYTES that are not UTF-8."""
    kind, data = DATATYPES[tensor.datatype], tensor.data
    if tensor.datatype == BYTES:
        try:
            return [str(item, "utf-8") for item in elements(data)]
        except UnicodeDecodeError as error:
            raise OipError(
                f"tensor '{tensor.name}' has bytes that are not UTF-8: ask for it as binary data",
                place=tensor.name,
            ) from error
    if tensor.datatype == "BF16":
        return of_bf16(data)
    return struct.unpack(f"<{len(data) // kind.size}{kind.code}", data)


def pack_bf16(values: Sequence[float]) -> bytes:
    """Write numbers as BF16, rounded to nearest, ties to even. Raises `OverflowError`."""
    halves = []
    for bits in struct.unpack(f"<{len(values)}I", struct.pack(f"<{len(values)}f", *values)):
        magnitude = bits & 0x7FFFFFFF
        if magnitude > _INFINITE:
            halves.append(bits >> 16 | 0x40)
            continue
        rounded = bits + 0x7FFF + (bits >> 16 & 1)
        if rounded & 0x7FFFFFFF >= _INFINITE > magnitude:
            raise OverflowError
        halves.append(rounded >> 16)
    return struct.pack(f"<{len(halves)}H", *halves)


def _pack(name: str, datatype: str, kind: Datatype, items: Sequence[Any], place: str, part: str) -> bytes:
    if datatype == BYTES:
        return packed([item.encode() if isinstance(item, str) else item for item in items])
    try:
        return _pack_numbers(kind, items)
    except (struct.error, OverflowError) as error:
        number = next(number for number, item in enumerate(items) if not _fits(kind, item))
        raise OipError(
            f"input '{name}': {items[number]} is outside {datatype}", place=f"{place}.{part}[{number}]"
        ) from error


def _pack_numbers(kind: Datatype, items: Sequence[Any]) -> bytes:
    if not kind.code:
        return pack_bf16(items)
    return struct.pack(f"<{len(items)}{kind.code}", *items)


def _fits(kind: Datatype, item: Any) -> bool:
    try:
        _pack_numbers(kind, (item,))
    except (struct.error, OverflowError):
        return False
    return True


def _flat(values: Any, place: str) -> Sequence[Any]:
    if type(values) is not list:
        return [values]
    for _ in range(MAX_RANK):
        if not values or type(values[0]) is not list:
            flat: list[Any] = values
            return flat
        width = len(values[0])
        if any(type(row) is not list or len(row) != width for row in values):
            raise OipError("data is ragged: rows must have one length", place=f"{place}.data")
        values = list(chain.from_iterable(values))
    raise OipError(f"data is nested more than {MAX_RANK} levels deep", place=f"{place}.data")


def _check_count(name: str, shape: Sequence[int], wanted: int, found: int, place: str) -> None:
    if wanted != found:
        raise OipError(
            f"input '{name}': shape {list(shape)} needs {wanted} elements, {found} came", place=place
        )


def _check_elements(data: Buffer, elements: int, place: str) -> None:
    end, position = len(data), 0
    if elements * _LENGTH.size > end:
        raise OipError(f"{elements} BYTES elements cannot fit in {end} bytes", place=place)
    for _ in range(elements):
        start = position + _LENGTH.size
        if start > end:
            raise OipError("BYTES data ends in the middle of a length", place=place)
        position = start + _LENGTH.unpack_from(data, position)[0]
        if position > end:
            raise OipError("BYTES data ends in the middle of an element", place=place)
    if position != end:
        raise OipError(f"{end - position} bytes are left after the last element", place=place)


def _json_name(value: Any) -> str:
    names = {bool: "true or false", str: "text", type(None): "null", list: "a list", dict: "an object"}
    return names.get(type(value), str(value))
