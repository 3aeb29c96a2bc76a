"""The GET form of a request: v1's way from a query string to the JSON that `run()` gets."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from .failures import BadInput
from .json_text import parse


def read(query: bytes) -> dict[str, Any]:
    """Return the parameters: values parsed as JSON where they are JSON, a repeated key as a list."""
    found: dict[str, list[Any]] = {}
    for key, text in parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True):
        found.setdefault(key, []).append(_value(text))
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def as_text(query: bytes) -> str:
    """Return the parameters as the JSON text that an undecorated `run()` gets."""
    return json.dumps(read(query))


def _value(text: str) -> Any:
    try:
        return parse(text.encode("utf-8", "surrogatepass"))
    except BadInput:
        return text
