"""What the values of a script's result are in JSON: our rules for everything that JSON has no word for.

numpy, pandas and whatever else has arrays are known by their looks: nothing is imported here.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import sys
import uuid
from typing import Any

MAX_DEPTH = 254
"""How deep documents may nest, in both directions: orjson's limit, so that all writers agree."""
_AS_THEY_ARE = frozenset({str, int, bool, type(None)})
_ADVICE = {"set": "a list", "frozenset": "a list", "bytes": "text (base64, for example)"}


class Unwritable(Exception):
    """JSON has no word for a value; the text names its type and place."""


def plain(value: Any, place: str = "", depth: int = 0) -> Any:  # noqa: PLR0911  # one line a kind of value
    """Return the value made of dicts with text keys, lists, text, numbers, booleans and None."""
    if type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value, place, depth)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str.__str__(value)
    if depth >= MAX_DEPTH:
        raise Unwritable(f"it is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        return {
            _key(key, place): plain(item, f"{place}.{key}" if place else str(key), depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{place}[{number}]", depth + 1) for number, item in enumerate(value)]
    return plain(_replaced(value, place), place, depth)


def stand_in(value: Any) -> Any:  # noqa: PLR0911  # one line a kind of value
    """Return something simpler for a value that JSON has no word for. Raises `TypeError`."""
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat() if value == value else None  # noqa: PLR0124  # pandas.NaT is a datetime
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, float):
        return float(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if type(value).__module__.partition(".")[0] == "pandas":
        return _of_pandas(value)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return _of_array(value)
    if callable(getattr(value, "tolist", None)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON serialisable")


def numbers_of(value: Any) -> Any:
    """Return an array as one of 64-bit floats, integers or booleans in C order; None for anything else."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray or value.ndim == 0:
        return None
    kind = value.dtype.kind
    if kind == "f":
        return numpy.ascontiguousarray(value, numpy.float64)
    if kind in "iu":
        return numpy.ascontiguousarray(value, numpy.int64 if kind == "i" else numpy.uint64)
    return numpy.ascontiguousarray(value) if kind == "b" else None


def _replaced(value: Any, place: str) -> Any:
    try:
        return stand_in(value)
    except TypeError:
        name = type(value).__name__
        where = f" at {place}" if place else ""
        advice = f"; return {_ADVICE[name]} instead" if name in _ADVICE else ""
        raise Unwritable(f"{name} is not JSON serialisable{where}{advice}") from None


def _key(key: Any, place: str) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        return float.__repr__(key)
    if isinstance(key, (enum.Enum, uuid.UUID, datetime.date, decimal.Decimal)):
        return str(stand_in(key) if not isinstance(key, enum.Enum) else _key(key.value, place))
    item = getattr(key, "item", None)
    if callable(item) and getattr(key, "shape", None) == ():
        return _key(item(), place)
    where = f" at {place}" if place else ""
    raise Unwritable(f"a {type(key).__name__} cannot be a key of a JSON object{where}")


def _of_pandas(value: Any) -> Any:
    name = type(value).__name__
    if name == "NAType":
        return None
    if name == "DataFrame":
        columns: dict[Any, Any] = {column: value[column].tolist() for column in value.columns}
        return [dict(zip(columns, row)) for row in zip(*columns.values())]
    if callable(getattr(value, "tolist", None)):
        return value.tolist()
    raise TypeError(f"{name} is not JSON serialisable")


def _of_array(value: Any) -> Any:
    kind = getattr(value.dtype, "kind", "")
    if kind == "M":
        return value.astype("datetime64[us]").tolist()
    if kind == "m":
        return value.astype("timedelta64[us]").tolist()
    if kind in {"c", "S"}:
        raise TypeError(f"an array of {value.dtype} is not JSON serialisable")
    if kind == "f" or (kind == "V" and value.dtype.names is None):
        return value.astype("float64").tolist()
    return value.tolist()
