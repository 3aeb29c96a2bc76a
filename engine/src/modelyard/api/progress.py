"""The progress of long work that is no operation: what a stream of the management API is made of."""

from __future__ import annotations

from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class Progress(Generic[T]):
    """One line of long work, and with the last one its result. Bytes are 0 where none are counted."""

    message: str = ""
    done_bytes: int = 0
    total_bytes: int = 0
    result: T | None = None
