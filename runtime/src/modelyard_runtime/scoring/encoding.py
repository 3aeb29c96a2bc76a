"""What a script is given and what becomes of its answer.

Pure. JSON follows Azure ML v1 (None is `{}`, text is quoted) with two differences, both documented: numpy
arrays are written, and NaN and infinities become null, because a bare NaN is not JSON.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import orjson

from modelyard_runtime.oip.tensors import BYTES, OipError, Tensor, from_result, to_list

OUTPUT = "output"
"""The name of the one tensor made of a result that names none."""
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


class NotSerialisable(TypeError):
    """`run()` returned something that JSON cannot carry."""


def encode(result: Any) -> bytes:
    """Write what `run()` returned as JSON. Raises `NotSerialisable`."""
    if result is None:
        return b"{}"
    try:
        return orjson.dumps(result, default=_plain, option=_OPTIONS)
    except TypeError as error:
        raise NotSerialisable(
            f"run() returned a {type(result).__name__} that JSON cannot carry: {error}"
        ) from error


def decode_query(query: bytes) -> str:
    """Write a query string as the JSON text that v1 hands to `run()`: values parsed, repeats as lists."""
    found: dict[str, Any] = {}
    for key, text in parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True):
        value = _parsed(text)
        if key not in found:
            found[key] = [value]
        else:
            found[key].append(value)
    return orjson.dumps(
        {key: values[0] if len(values) == 1 else values for key, values in found.items()}
    ).decode()


def tensor_text(inputs: tuple[Tensor, ...]) -> str:
    """Write tensors as the body a script expects: `{"data": ...}` for one, `{name: ...}` for several."""
    names = ("data",) if len(inputs) == 1 else tuple(tensor.name for tensor in inputs)
    document = {
        name: to_list(tensor) if tensor.datatype == BYTES else np.ascontiguousarray(tensor.array)
        for name, tensor in zip(names, inputs, strict=True)
    }
    return orjson.dumps(document, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def outputs_of(result: Any, wanted: tuple[str, ...]) -> tuple[Tensor, ...]:
    """Make tensors of what `run()` returned: an object gives one a key, anything else one `output`."""
    value = _parsed(result) if isinstance(result, str) else result
    named = value if isinstance(value, dict) else {OUTPUT: value}
    if value is None or not named:
        raise OipError("run() returned nothing a tensor could be made of")
    missing = [name for name in wanted if name not in named]
    if missing:
        raise OipError(f"no output is called '{missing[0]}'; there are {', '.join(map(str, named))}")
    return tuple(from_result(str(name), named[name]) for name in wanted or named)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON serialisable")


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
