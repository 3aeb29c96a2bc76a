"""Take secrets out of what is about to be written: by type, by the name of a field, by their look.

Pure. Redacting too much costs a detail, too little costs a key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from modelyard.api import KeyPair, Secret

MASK = "***"

_SECRET_NAMES = re.compile(
    r"(^|[_\-.])(authorization|password|passwd|secret|token|api[_-]?key|primary|secondary|credentials?)s?$",
    re.IGNORECASE,
)
_SECRET_LOOKS = (
    # issued keys: `mk_<slot>_<random>_<checksum>`
    re.compile(r"\bmk_[ps]_[\w-]{8,}"),
    re.compile(r"(?i)(?<=\bbearer )[^\s\"',;]+"),
    re.compile(r"(?i)(?<=\bbasic )[a-z0-9+/=]{8,}"),
    # the user part of a URL, as package indexes have it
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
)
_DEPTH = 12
"""Deeper nesting is cut off: a log line is no place for it."""


def redact(value: Any, *, name: str = "", depth: int = 0) -> Any:
    """Give a copy of `value` without secrets; `name` is the field it stands in."""
    if isinstance(value, Secret | KeyPair) or _SECRET_NAMES.search(name):
        return MASK
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth > _DEPTH:
        return MASK
    if isinstance(value, Mapping):
        return {str(key): redact(item, name=str(key), depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, name=name, depth=depth + 1) for item in value]
    return _without_looks(value if isinstance(value, str) else repr(value))


def _without_looks(text: str) -> str:
    for look in _SECRET_LOOKS:
        text = look.sub(MASK, text)
    return text
