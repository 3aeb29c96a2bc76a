"""Tensors as Python lists and back, without numpy: scripts that speak JSON may have none."""

from __future__ import annotations

import json
import struct
from itertools import chain
from typing import Any, Iterator, Sequence

from .datatypes import BF16, BYTES, NUMBERS
from .failures import BadInput, ResultUnusable
from .plain import Unwritable, plain
from .requests import Tensor

OUTPUT = "output"
"""The name of the one tensor made of a result that names none."""
LENGTH = struct.Struct("<I")
_ELEMENTS = frozenset({bool, int, float, str, bytes})
_MOST_DIMENSIONS = 64
"""numpy's own limit."""
_MOST_EMPTY_ROWS = 1000
"""Rows without elements cost memory though nothing was sent for them."""
_INT64, _UINT64 = 1 << 63, 1 << 64


def to_lists(tensor: Tensor) -> list[Any]:
    """Return a tensor's elements as nested lists; BYTES must be UTF-8. Raises `BadInput`."""
    flat: Sequence[Any]
    if tensor.datatype == BYTES:
        flat = [_text(tensor.name, element) for element in elements(tensor.data)]
    elif tensor.datatype == BF16:
        flat = of_bf16(tensor.data)
    else:
        size, code, _ = NUMBERS[tensor.datatype]
        flat = struct.unpack(f"<{len(tensor.data) // size}{code}", tensor.data)
    return _nest(flat, tensor.shape)


def as_text(inputs: Sequence[Tensor]) -> str:
    """Write tensors as the body a script expects: `{"data": ...}` for one, `{name: ...}` for several.

    NaN and infinities stay: whoever reads this is Python.
    """
    if len(inputs) == 1:
        return json.dumps({"data": to_lists(inputs[0])})
    return json.dumps({tensor.name: to_lists(tensor) for tensor in inputs})


def elements(data: Any) -> Iterator[bytes]:
    """Yield the elements of a BYTES tensor whose lengths have been checked."""
    view, position = memoryview(data), 0
    while position < len(view):
        start = position + LENGTH.size
        position = start + LENGTH.unpack_from(view, position)[0]
        yield bytes(view[start:position])


def of_bf16(data: Any) -> Sequence[float]:
    """Read BF16 numbers: each is the upper half of an FP32."""
    wide = bytearray(2 * len(data))
    wide[2::4], wide[3::4] = memoryview(data)[0::2], memoryview(data)[1::2]
    return struct.unpack(f"<{len(data) // 2}f", wide)


def packed(items: Sequence[bytes]) -> bytes:
    """Write elements as a BYTES tensor."""
    return b"".join(LENGTH.pack(len(item)) + item for item in items)


def of_lists(name: str, value: Any) -> Tensor:
    """Make a tensor of nested lists; a single value gets the shape [1]. Raises `ResultUnusable`."""
    shape, flat = _flattened(name, value)
    kinds = set(map(type, flat))
    try:
        if not kinds or kinds <= {bool, int, float}:
            datatype = _number_type(kinds, flat)
            return Tensor(name, datatype, shape, struct.pack(f"<{len(flat)}{NUMBERS[datatype].code}", *flat))
    except (struct.error, OverflowError):
        raise ResultUnusable(f"output '{name}': an integer is outside INT64 and UINT64") from None
    if kinds <= {str, bytes}:
        texts = [item.encode("utf-8", "surrogatepass") if isinstance(item, str) else item for item in flat]
        return Tensor(name, BYTES, shape, packed(texts))
    known = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise ResultUnusable(f"output '{name}': no tensor can be made of {known} values")


def named(result: Any) -> dict[str, Any]:
    """Return what a script returned by output name: an object's keys, a table's columns, else `output`.

    Text that is JSON is read first, since many scripts return `json.dumps(...)`. Raises `ResultUnusable`.
    """
    value = _parsed(result) if isinstance(result, (str, bytes)) else result
    if value is None:
        raise ResultUnusable("run() returned nothing a tensor could be made of")
    if type(value).__name__ == "DataFrame" and hasattr(value, "columns"):
        return {str(column): value[column].tolist() for column in value.columns}
    if not isinstance(value, dict):
        return {OUTPUT: value}
    if not value:
        raise ResultUnusable("run() returned an empty object: no tensor could be made of it")
    return {str(key): item for key, item in value.items()}


def chosen(outputs: dict[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """Return the outputs a request asks for, in its order; all when it names none. Raises `BadInput`."""
    if not wanted:
        return outputs
    for name in wanted:
        if name not in outputs:
            raise BadInput(f"no output is called '{name}'; there are {', '.join(outputs)}")
    return {name: outputs[name] for name in wanted}


def _nest(flat: Sequence[Any], shape: Sequence[int]) -> list[Any]:
    rows: Sequence[Any] = flat
    for size in reversed(shape[1:]):
        count = len(rows) // size if size else 0
        rows = [list(rows[number * size : (number + 1) * size]) for number in range(count)]
    if not rows and len(shape) > 1:
        return _empty(shape)
    return list(rows)


def _empty(shape: Sequence[int]) -> list[Any]:
    """Return the lists of a shape that holds a 0; dimensions after it are not seen."""
    if shape[0] > _MOST_EMPTY_ROWS:
        raise BadInput(f"a tensor of shape {list(shape)} has no elements and too many rows")
    return [_empty(shape[1:]) for _ in range(shape[0])] if len(shape) > 1 and shape[0] else []


def _flattened(name: str, value: Any) -> tuple[tuple[int, ...], list[Any]]:
    rows: list[Any] = [value]
    shape: list[int] = []
    while len(shape) <= _MOST_DIMENSIONS:
        kinds = set(map(type, rows))
        if kinds == {list}:
            sizes = set(map(len, rows))
            if len(sizes) > 1:
                raise ResultUnusable(f"output '{name}': the rows of the result differ in length")
            shape.append(sizes.pop())
            rows = list(chain.from_iterable(rows))
        elif kinds <= _ELEMENTS:
            return tuple(shape) or (1,), rows
        else:
            bare = [_bare(row) for row in rows]
            if _mixed(bare):
                raise ResultUnusable(f"output '{name}': the rows of the result differ in length")
            if set(map(type, bare)) == kinds:
                return tuple(shape) or (1,), bare
            rows = bare
    raise ResultUnusable(f"output '{name}': the result has more than {_MOST_DIMENSIONS} dimensions")


def _mixed(rows: Sequence[Any]) -> bool:
    """Say whether lists stand beside single values."""
    lists = sum(type(row) is list for row in rows)
    return 0 < lists < len(rows)


def _bare(value: Any) -> Any:
    if type(value) in (float, int, str, bytes, bool, list):
        return value
    tolist = getattr(value, "tolist", None)
    if callable(tolist):
        return tolist()
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, float):
        return float(value)
    try:
        return plain(value)
    except Unwritable:
        return value


def _number_type(kinds: Any, flat: Sequence[Any]) -> str:
    if float in kinds or not kinds:
        return "FP64"
    if kinds == {bool}:
        return "BOOL"
    return "UINT64" if _INT64 <= max(flat) < _UINT64 and min(flat) >= 0 else "INT64"


def _text(name: str, element: bytes) -> str:
    try:
        return element.decode()
    except UnicodeDecodeError:
        raise BadInput(f"input '{name}': BYTES must be UTF-8 for a script that reads JSON") from None


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
