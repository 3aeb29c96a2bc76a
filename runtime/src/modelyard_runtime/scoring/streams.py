"""Answers that come in pieces: made in a worker, read on the event loop, never far ahead of the reader."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

DEPTH = 8
"""How many pieces a worker may be ahead of the client."""


class Channel(AsyncIterator[Any]):
    """Lives on the event loop. `taken` is called after each piece read, `left` once when the reader stops."""

    def __init__(self, *, taken: Callable[[], None], left: Callable[[], None]) -> None:
        self._pieces: deque[Any] = deque()
        self._taken = taken
        self._left = left
        self._ended = False
        self._failure: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.closed = False
        """The reader has gone; read by workers from their own threads."""
        self.moved_at = time.monotonic()
        """When a piece last came or was taken."""

    def feed(self, piece: Any) -> None:
        """Add a piece; one that comes after the reader left is dropped."""
        if not self.closed:
            self.moved_at = time.monotonic()
            self._pieces.append(piece)
            self._wake()

    def end(self, failure: BaseException | None = None) -> None:
        """No more pieces will come; a failure is raised to the reader after the last one. The first end counts."""
        if not self._ended:
            self._ended, self._failure = True, failure
            self._wake()

    def close(self) -> None:
        """Stop reading; the worker is told. Closing twice, or after the end, tells nobody."""
        if self.closed:
            return
        self.closed = True
        self._pieces.clear()
        if not self._ended:
            self._left()

    def give_up(self, failure: BaseException) -> None:
        """End it from outside: the reader gets the failure at once, the worker is told to stop."""
        if not self._ended:
            self._pieces.clear()
            self.end(failure)
            self.closed = True
            self._left()

    async def __anext__(self) -> Any:
        while not self._pieces:
            if self._ended:
                self.closed = True
                if self._failure is not None:
                    raise self._failure
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        piece = self._pieces.popleft()
        self.moved_at = time.monotonic()
        self._taken()
        return piece

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class ScoreStream(NamedTuple):
    """`worker.replies.StreamReply` as the front sees it: `chunks` are bytes."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    elapsed_ms: float
    chunks: Channel


class InferStream(NamedTuple):
    """`worker.replies.InferredStream` as the front sees it: `parts` are tuples of tensors."""

    parts: Channel
