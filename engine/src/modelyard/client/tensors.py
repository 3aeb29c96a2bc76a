"""Tensors as the Open Inference Protocol names them: datatype, shape, little-endian bytes.

numpy is not needed: anything with `dtype`, `shape` and `tobytes` is taken as it is, nested lists too.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import attrs
from modelyard_runtime.worker.datatypes import BYTES, NUMBERS

from modelyard.api import UserError

_NAMES = {written.dtype: name for name, written in NUMBERS.items()}


@runtime_checkable
class ArrayLike(Protocol):
    """What a numpy array shows of itself."""

    @property
    def dtype(self) -> Any:
        """The element type; `str()` of its `.str` is numpy's code (`<f8`)."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths, outermost first."""
        ...

    def tobytes(self) -> bytes:
        """Give the elements in C order."""
        ...


TensorLike: TypeAlias = "Tensor | ArrayLike | Sequence[Any]"


@attrs.frozen
class Tensor:
    """One tensor; `content` is little-endian in C order (BYTES: each element after its length)."""

    datatype: str
    shape: tuple[int, ...]
    content: bytes

    @classmethod
    def of(cls, value: Tensor | ArrayLike | Sequence[Any]) -> Tensor:
        """Take a tensor, a numpy-like array, or nested lists of bool, int, float, str or bytes."""
        if isinstance(value, Tensor):
            return value
        if isinstance(value, ArrayLike):
            return _from_array(value)
        return _from_lists(value)

    def tolist(self) -> Any:
        """Give the elements as nested lists; a scalar for the empty shape."""
        flat = _bytes_elements(self.content) if self.datatype == BYTES else self._numbers()
        for length in reversed(self.shape[1:]):
            flat = [flat[at : at + length] for at in range(0, len(flat), length)] if length else []
        return flat if self.shape else flat[0]

    def _numbers(self) -> list[Any]:
        if self.datatype not in NUMBERS:
            raise UserError(f"datatype {self.datatype} has no Python type", remedy="read `content` yourself")
        return list(struct.unpack(f"<{math.prod(self.shape)}{NUMBERS[self.datatype].code}", self.content))


def _from_array(value: ArrayLike) -> Tensor:
    datatype = _NAMES.get(value.dtype.str)
    if datatype is None:
        raise UserError(
            f"an array of {value.dtype} cannot be sent",
            remedy="use little-endian bool, int, float, or nested lists of text",
        )
    return Tensor(datatype=datatype, shape=tuple(value.shape), content=value.tobytes())


def _from_lists(value: Sequence[Any]) -> Tensor:
    shape = tuple(_lengths(value))
    flat = list(_flatten(value, shape))
    datatype = _datatype(flat)
    if datatype == BYTES:
        return Tensor(datatype, shape, b"".join(_with_length(element) for element in flat))
    try:
        content = struct.pack(f"<{len(flat)}{NUMBERS[datatype].code}", *flat)
    except struct.error as error:
        raise UserError(f"a number does not fit {datatype}: {error}", remedy="send floats") from error
    return Tensor(datatype, shape, content)


def _lengths(value: Any) -> Iterator[int]:
    while isinstance(value, list | tuple):
        yield len(value)
        if not value:
            return
        value = value[0]


def _flatten(value: Any, shape: tuple[int, ...]) -> Iterator[Any]:
    if not shape:
        if isinstance(value, list | tuple):
            raise _ragged()
        yield value
        return
    if not isinstance(value, list | tuple) or len(value) != shape[0]:
        raise _ragged()
    yield from itertools.chain.from_iterable(_flatten(element, shape[1:]) for element in value)


def _ragged() -> UserError:
    return UserError(
        "nested lists of one tensor differ in length", remedy="pad them, or send several tensors"
    )


def _datatype(flat: list[Any]) -> str:
    kinds = {type(element) for element in flat}
    if kinds and kinds <= {str, bytes}:
        return BYTES
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        return "INT64"
    if kinds <= {int, float}:  # an empty tensor too
        return "FP64"
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise UserError(f"a tensor cannot hold {names} together", remedy="use one of bool, int, float, text")


def _with_length(element: str | bytes) -> bytes:
    content = element.encode() if isinstance(element, str) else element
    return struct.pack("<I", len(content)) + content


def _bytes_elements(content: bytes) -> list[bytes]:
    elements, at = [], 0
    while at < len(content):
        (length,) = struct.unpack_from("<I", content, at)
        elements.append(content[at + 4 : at + 4 + length])
        at += 4 + length
    return elements
