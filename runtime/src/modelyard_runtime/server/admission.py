"""Who may run now, who waits, who is turned away.

Lives on the event loop alone, so it needs no lock. A free slot costs no await; a waiting request leaves
by slot, by patience, by its own deadline or with its client, whichever comes first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from modelyard_runtime.server.problems import Disconnected, Overloaded, ScoringTimeout

Gone = Callable[[], Awaitable[None]]
"""Returns when the client has disconnected."""


class Gate:
    """`max_concurrent` slots and a bounded queue before them."""

    def __init__(self, *, max_concurrent: int, max_queued: int, queue_wait_s: float) -> None:
        self._slots = max_concurrent
        self._places = max_queued
        self._patience_s = queue_wait_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.running = 0

    @property
    def queued(self) -> int:
        """How many wait for a slot."""
        return len(self._waiting)

    def try_enter(self) -> bool:
        """Take a slot if one is free and nobody was here before."""
        if self.running >= self._slots or self._waiting:
            return False
        self.running += 1
        return True

    async def wait(self, deadline: float, gone: Gone) -> None:
        """Wait for a slot. Raises `Overloaded`, `ScoringTimeout` or `Disconnected`."""
        if len(self._waiting) >= self._places:
            raise Overloaded(
                f"all {self._slots} slots are busy and all {self._places} places in the queue taken"
            )
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        timer = loop.call_at(*self._patience(loop.time(), deadline, place))
        watch = loop.create_task(_watch(gone, place))
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.leave()
            raise
        finally:
            timer.cancel()
            watch.cancel()
            if place in self._waiting:
                self._waiting.remove(place)

    def leave(self) -> None:
        """Give the slot back; the next in the queue has it at once."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.running -= 1

    def _patience(
        self, now: float, deadline: float, place: asyncio.Future[None]
    ) -> tuple[float, Callable[[], None]]:
        if deadline < now + self._patience_s:
            return deadline, lambda: _fail(
                place, ScoringTimeout("the request's time was over before a slot was free")
            )
        return now + self._patience_s, lambda: _fail(
            place, Overloaded(f"no slot became free within {self._patience_s:g} s")
        )


def _fail(place: asyncio.Future[None], problem: Exception) -> None:
    if not place.done():
        place.set_exception(problem)


async def _watch(gone: Gone, place: asyncio.Future[None]) -> None:
    await gone()
    _fail(place, Disconnected())
