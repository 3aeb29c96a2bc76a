"""The GET form of a request: v1's way from a query string to the JSON that `run()` gets."""

from __future__ import annotations

import codecs
import json
from typing import Any
from urllib.parse import parse_qsl

from .failures import BadInput
from .json_text import parse

_KEEP = "modelyard-keep-percent"


def read(query: bytes, *, strict: bool = False) -> dict[str, Any]:
    """Return the parameters: values parsed as JSON where they are JSON, a repeated key as a list.

    `strict` takes NaN and infinities for JSON, as Python and v1 do.
    """
    found: dict[str, list[Any]] = {}
    for key, text in parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors=_KEEP):
        found.setdefault(key, []).append(_value(text, strict=strict))
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def as_text(query: bytes) -> str:
    """Return the parameters as the JSON text that an undecorated `run()` gets, for Python to read."""
    return json.dumps(read(query, strict=True))


def _value(text: str, *, strict: bool) -> Any:
    try:
        return parse(text.encode("utf-8", "surrogatepass"), strict=strict)
    except BadInput:
        return text


def _percent(error: UnicodeError) -> tuple[str, int]:
    """Write bytes that are no UTF-8 as they came: `%FF`."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_KEEP, _percent)
