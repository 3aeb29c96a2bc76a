"""Tensors of the Open Inference Protocol as numpy arrays, checked before anything is allocated."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BYTES = "BYTES"
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_KINDS = {"b": "b", "u": "iu", "i": "iu", "f": "iuf"}
"""Which kinds of JSON value a datatype takes: no text in numbers, no fractions in integers."""
_LENGTH = struct.Struct("<I")


class OipError(ValueError):
    """The request breaks the protocol; the text says where."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One named tensor; BYTES is an object array of `bytes`."""

    name: str
    datatype: str
    array: Array


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request whatever carried it; `outputs` empty = all."""

    id: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...] = ()
    binary_outputs: frozenset[str] | None = frozenset()
    """REST only: which outputs to send as raw bytes; None = all."""


def check_shape(name: str, datatype: str, shape: Sequence[int]) -> int:
    """Return how many elements the shape has; refuses unknown datatypes and negative dimensions."""
    if datatype != BYTES and datatype not in DTYPES:
        known = ", ".join([*DTYPES, BYTES])
        raise OipError(f"input '{name}': unknown datatype '{datatype}'; this server takes {known}")
    if any(type(size) is not int or size < 0 for size in shape):
        raise OipError(f"input '{name}': shape {list(shape)} must hold whole numbers of 0 or more")
    return math.prod(shape)


def from_raw(name: str, datatype: str, shape: Sequence[int], raw: bytes) -> Tensor:
    """Read a tensor's raw little-endian bytes; numbers become a view, no copy."""
    count = check_shape(name, datatype, shape)
    if datatype == BYTES:
        return Tensor(name, BYTES, _objects(list(_elements(name, raw, count)), shape))
    dtype = DTYPES[datatype]
    if count * dtype.itemsize != len(raw):
        raise OipError(
            f"input '{name}': shape {list(shape)} of {datatype} needs {count * dtype.itemsize} bytes,"
            f" {len(raw)} came"
        )
    return Tensor(name, datatype, _shaped(name, np.frombuffer(raw, dtype), shape))


def from_values(name: str, datatype: str, shape: Sequence[int], values: Any) -> Tensor:
    """Read a tensor's elements, flat or nested, in row-major order."""
    count = check_shape(name, datatype, shape)
    if datatype == BYTES:
        texts = [_as_bytes(name, value) for value in _flatten(values)]
        _check_count(name, shape, count, len(texts))
        return Tensor(name, BYTES, _objects(texts, shape))
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise OipError(f"input '{name}': data is ragged or out of range") from error
    _check_count(name, shape, count, array.size)
    return Tensor(name, datatype, _shaped(name, _cast(name, datatype, array), shape))


def from_result(name: str, value: Any) -> Tensor:
    """Make an output tensor of what a script returned: a scalar becomes shape [1]."""
    try:
        array = np.atleast_1d(np.asarray(value))
    except ValueError as error:
        raise OipError(f"output '{name}': the rows of the result differ in length") from error
    if array.dtype.kind in "US" or (array.dtype.kind == "O" and _all_text(array)):
        texts = [item.encode() if isinstance(item, str) else bytes(item) for item in array.ravel().tolist()]
        return Tensor(name, BYTES, _objects(texts, array.shape))
    datatype = _NAMES.get(array.dtype.newbyteorder("<"))
    if datatype is None:
        raise OipError(f"output '{name}': no tensor can be made of {array.dtype.name} values")
    return Tensor(name, datatype, array)


def to_raw(tensor: Tensor) -> bytes:
    """Write a tensor as raw little-endian bytes."""
    if tensor.datatype == BYTES:
        return b"".join(_LENGTH.pack(len(item)) + item for item in tensor.array.ravel().tolist())
    return np.ascontiguousarray(tensor.array, DTYPES[tensor.datatype]).tobytes()


def to_list(tensor: Tensor) -> list[Any]:
    """Write a tensor as nested lists; BYTES must be UTF-8."""
    if tensor.datatype != BYTES:
        return tensor.array.tolist()  # type: ignore[no-any-return]  # at least one dimension: a list
    try:
        texts = [item.decode() for item in tensor.array.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise OipError(f"tensor '{tensor.name}': BYTES must be UTF-8 in JSON") from error
    return _objects(texts, tensor.array.shape).tolist()  # type: ignore[no-any-return]  # as above


def _elements(name: str, raw: bytes, count: int) -> Iterator[bytes]:
    if count * _LENGTH.size > len(raw):
        raise OipError(f"input '{name}': {count} BYTES elements cannot fit in {len(raw)} bytes")
    position = 0
    for _ in range(count):
        start = position + _LENGTH.size
        if start > len(raw):
            raise OipError(f"input '{name}': BYTES data ends in the middle of a length")
        position = start + _LENGTH.unpack_from(raw, position)[0]
        if position > len(raw):
            raise OipError(f"input '{name}': BYTES data ends in the middle of an element")
        yield raw[start:position]
    if position != len(raw):
        raise OipError(f"input '{name}': {len(raw) - position} bytes are left after the last element")


def _cast(name: str, datatype: str, array: Array) -> Array:
    dtype = DTYPES[datatype]
    if array.size and array.dtype.kind not in _KINDS[dtype.kind]:
        raise OipError(f"input '{name}': {datatype} cannot hold {array.dtype.name} values")
    if dtype.kind in "iu" and array.size:
        bounds = np.iinfo(dtype)
        if int(array.min()) < bounds.min or int(array.max()) > bounds.max:
            raise OipError(f"input '{name}': a value is outside {datatype} ({bounds.min}..{bounds.max})")
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def _shaped(name: str, array: Array, shape: Sequence[int]) -> Array:
    try:
        return array.reshape(tuple(shape))
    except (ValueError, OverflowError) as error:
        raise OipError(f"input '{name}': no array can have the shape {list(shape)}") from error


def _objects(items: Sequence[Any], shape: Sequence[int]) -> Array:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return _shaped("BYTES", array, shape)


def _check_count(name: str, shape: Sequence[int], wanted: int, found: int) -> None:
    if wanted != found:
        raise OipError(f"input '{name}': shape {list(shape)} needs {wanted} elements, {found} came")


def _flatten(values: Any) -> Iterator[Any]:
    stack = [iter(values if isinstance(values, list) else [values])]
    while stack:
        for item in stack[-1]:
            if isinstance(item, list):
                stack.append(iter(item))
                break
            yield item
        else:
            stack.pop()


def _as_bytes(name: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    raise OipError(f"input '{name}': BYTES data must be text, {type(value).__name__} came")


def _all_text(array: Array) -> bool:
    return all(isinstance(item, str | bytes) for item in array.ravel().tolist())
