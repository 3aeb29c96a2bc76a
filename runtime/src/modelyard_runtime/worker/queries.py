"""The GET form of a request: v1's way from a query string to the JSON that `run()` gets."""

from __future__ import annotations

import codecs
import json
from typing import Any, Callable
from urllib.parse import parse_qsl

from .failures import BadInput, InputBroke
from .json_text import deeper_than, parse
from .plain import MAX_DEPTH

_KEEP = "modelyard-keep-percent"


def read(query: bytes) -> dict[str, Any]:
    """Return the parameters: values parsed as JSON where they are JSON, a repeated key as a list."""
    return _read(query, _value)


def as_text(query: bytes) -> str:
    """Return the parameters as the JSON text that an undecorated `run()` gets, for Python to read."""
    return json.dumps(_read(query, _value_for_python))


def read_as_v1(query: bytes) -> dict[str, Any]:
    """Return the parameters as v1 read them. Raises `InputBroke`."""
    return _read(query, _value_as_v1)


def as_text_as_v1(query: bytes) -> str:
    """Return the parameters as v1 wrote them for an undecorated `run()`. Raises `InputBroke`."""
    found = read_as_v1(query)
    try:
        return json.dumps(found)
    except RecursionError as error:
        raise InputBroke("a value is nested too deep") from error


def _read(query: bytes, value: Callable[[str], Any]) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for key, text in parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors=_KEEP):
        found.setdefault(key, []).append(value(text))
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _value(text: str) -> Any:
    try:
        return parse(text.encode("utf-8", "surrogatepass"))
    except BadInput:
        return text


def _value_for_python(text: str) -> Any:
    """NaN and infinities are JSON here: whoever reads the text again is Python."""
    return text if deeper_than(MAX_DEPTH, text.encode("utf-8", "surrogatepass")) else _value_as_v1(text)


def _value_as_v1(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
    except RecursionError as error:
        raise InputBroke("a value is nested too deep") from error


def _percent(error: UnicodeError) -> tuple[str, int]:
    """Write bytes that are no UTF-8 as they came: `%FF`."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_KEEP, _percent)
