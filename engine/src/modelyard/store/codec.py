"""Values to JSON text and back. Unknown keys of a newer release are ignored, missing ones are defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs
import cattrs
from cattrs.preconf.json import make_converter

T = TypeVar("T", bound=attrs.AttrsInstance)


def to_text(value: attrs.AttrsInstance) -> str:
    """Write one value, always the same way."""
    return json.dumps(_CONVERTER.unstructure(value), sort_keys=True)


def from_text(text: str, kind: type[T]) -> T:
    """Read one value. Raises `ValueError` for text that is none of that kind."""
    try:
        return _CONVERTER.structure(json.loads(text), kind)
    except (cattrs.BaseValidationError, KeyError, TypeError) as error:
        raise ValueError(f"not a {kind.__name__}: {error}") from error


def _plain(value: object, _: object) -> object:
    return value


def _make_converter() -> cattrs.Converter:
    converter = make_converter()
    # `object` stands for what came out of YAML or JSON: already plain
    converter.register_structure_hook_func(lambda kind: kind is object or kind is Any, _plain)
    converter.register_unstructure_hook(frozenset, sorted)
    converter.register_structure_hook_func(
        lambda kind: kind == Mapping[str, object], lambda value, _: dict(value)
    )
    return converter


_CONVERTER = _make_converter()
