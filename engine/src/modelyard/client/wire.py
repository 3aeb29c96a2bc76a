"""Turn api values into JSON and back: one converter, used by the server and by the client.

Names on the wire are the attribute names, enums their values, tuples lists. Scalars are not coerced:
a string where a number belongs is an error, not a guess.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from modelyard.api import Secret

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")


class WireError(ValueError):
    """The JSON does not describe the value that was asked for."""


def to_raw(value: object) -> Any:
    """Turn an api value into what `json` can write."""
    return _converter().unstructure(value)


def from_raw(kind: type[T], raw: object) -> T:
    """Build a value from parsed JSON. Raises `WireError` naming every wrong place."""
    from cattrs import BaseValidationError, transform_error

    try:
        return _converter().structure(raw, kind)
    except BaseValidationError as error:
        raise WireError("; ".join(transform_error(error, path="value"))) from error
    except (TypeError, ValueError) as error:
        raise WireError(str(error)) from error


def dump(value: object) -> bytes:
    """Write a value as JSON."""
    return json.dumps(to_raw(value), allow_nan=False, separators=(",", ":")).encode()


def load(kind: type[T], text: bytes | str) -> T:
    """Read a value from JSON. Raises `WireError`."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise WireError(f"not JSON: {error}") from error
    return from_raw(kind, raw)


def from_raw_strictly(kind: type[T], raw: object) -> T:
    """Build a value as `from_raw`, and refuse top-level keys that `kind` does not have."""
    known = {field.name for field in attrs.fields(kind)}  # type: ignore[arg-type]  # attrs classes only
    unknown = sorted(set(raw) - known) if isinstance(raw, dict) else []
    if unknown:
        raise WireError(f"unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")
    return from_raw(kind, raw)


@functools.cache
def _converter() -> Converter:
    from cattrs import Converter

    converter = Converter()
    converter.register_unstructure_hook(Secret, Secret.reveal)
    converter.register_structure_hook(Secret, lambda raw, _: Secret(_exactly(str, raw)))
    converter.register_structure_hook(str, lambda raw, _: _exactly(str, raw))
    converter.register_structure_hook(bool, lambda raw, _: _exactly(bool, raw))
    converter.register_structure_hook(int, lambda raw, _: _exactly(int, raw))
    converter.register_structure_hook(float, lambda raw, _: _number(raw))
    converter.register_structure_hook(type(None), lambda raw, _: _nothing(raw))
    converter.register_structure_hook_func(lambda kind: kind is object, lambda raw, _: raw)
    return converter


def _exactly(kind: type[T], raw: object) -> T:
    if not isinstance(raw, kind) or (isinstance(raw, bool) and kind is not bool):
        raise TypeError(f"expected {kind.__name__}, got {raw!r:.80}")
    return raw


def _nothing(raw: object) -> None:
    if raw is not None:
        raise TypeError(f"expected null, got {raw!r:.80}")


def _number(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise TypeError(f"expected a number, got {raw!r:.80}")
    return float(raw)
