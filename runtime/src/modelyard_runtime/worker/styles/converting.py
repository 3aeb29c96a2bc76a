"""What inference_schema's decorators hand to the `run()` beneath them, without calling it.

The library converts in its wrappers alone, so they are asked with another function beneath them.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict

_DECORATORS = "inference_schema.schema_decorators"
Convert = Callable[[Dict[str, Any]], Dict[str, Any]]


def converter(run: Callable[..., Any]) -> Convert | None:
    """Return what converts a request's arguments; None where another decorator lies around the library's."""
    wrappers = []
    inner: Any = run
    while getattr(getattr(inner, "_self_wrapper", None), "__module__", "") == _DECORATORS:
        wrappers.append(inner._self_wrapper)  # noqa: SLF001  # wrapt's own name for what it was given
        inner = inner.__wrapped__
    if not wrappers:
        return None
    converting: Callable[..., Dict[str, Any]] = dict
    for wrapper in reversed(wrappers):
        converting = partial(_wrapped, wrapper, converting)
    return lambda arguments: converting(**arguments)


def _wrapped(wrapper: Any, inner: Any, **arguments: Any) -> Any:
    return wrapper(inner, None, (), arguments)
