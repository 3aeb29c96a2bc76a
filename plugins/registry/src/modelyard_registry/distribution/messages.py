"""Requests and replies as values of our own, so that one module alone knows the HTTP library.

No I/O but what a body's source does when it is read.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Protocol

import attrs
from modelyard.api import UserError

from modelyard_registry.errors import unreadable_source

PIECE_BYTES = 1024 * 1024
_NUMBER = re.compile(r"[0-9]{1,18}")


class Cut(Exception):
    """The connection failed or went silent; the message says how, and trying again may help."""


@attrs.frozen
class Body:
    """What a request carries: `open` starts a new reading, so that a request can be sent twice."""

    size: int
    open: Callable[[], AsyncIterator[bytes]]


@attrs.frozen
class Request:
    """One HTTP request. `headers` may carry secrets and are never printed."""

    method: str
    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: Body | None = attrs.field(default=None, repr=False)


class Reply(Protocol):
    """One HTTP answer. Of an error, `content` has the first bytes and nothing is left to close."""

    @property
    def status(self) -> int:
        """The status code."""
        ...

    @property
    def content(self) -> bytes:
        """The first bytes of an error; empty for a success, which is read by `pieces`."""
        ...

    def header(self, name: str) -> str:
        """Give a header, empty when absent."""
        ...

    def headers(self, name: str) -> tuple[str, ...]:
        """Give every line of a header."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """Stream the body as it was sent; raises `Cut` when it ends early."""
        ...

    async def aclose(self) -> None:
        """Give the connection back."""
        ...


def whole_number(text: str) -> int | None:
    """Read a header that is a count; None when it is none, or one that nothing real has."""
    return int(text) if _NUMBER.fullmatch(text) else None


def of_bytes(content: bytes) -> Body:
    """Send bytes."""

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    return Body(len(content), pieces)


def of_file(path: Path, start: int, end: int, told: Callable[[int], None]) -> Body:
    """Send a part of a file; `told` hears how far the reading is. Memory holds one piece at a time."""

    async def pieces() -> AsyncIterator[bytes]:
        at = start
        while at < end:
            piece = await asyncio.to_thread(_read, path, at, min(PIECE_BYTES, end - at))
            if not piece:
                raise UserError(
                    "the file became shorter while it was pushed",
                    place=str(path),
                    remedy="let nothing write to it, and push again",
                )
            at += len(piece)
            yield piece
            told(at)

    return Body(end - start, pieces)


def _read(path: Path, start: int, size: int) -> bytes:
    """Open and close it each time: whoever sends it may be cancelled at any moment, and a thread is not."""
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            return file.read(size)
    except OSError as failure:
        raise unreadable_source(path) from failure
