"""Rhythm: wake everybody who waits for a change (what changed, each looks up anew); run a tick for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


class Pulse:
    """A repeated event. Belongs to one loop: a check right before `wait` misses no beat."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def beat(self) -> None:
        """Wake all who wait now."""
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self, *, at_most_seconds: float) -> None:
        """Wait for the next beat, or until the time is up."""
        with contextlib.suppress(TimeoutError):
            # before Python 3.12 `wait_for` loses a cancel that comes together with the beat
            async with asyncio.timeout(at_most_seconds):
                await self._next.wait()


async def repeat(tick: Callable[[], Awaitable[None]], interval_seconds: float) -> None:
    """Run a tick for ever; one that fails is logged, and the next one comes all the same."""
    last = ""
    while True:
        (outcome,) = await asyncio.gather(tick(), return_exceptions=True)
        now = repr(outcome) if isinstance(outcome, Exception) else ""
        if now and now != last:
            log.error("a loop failed", exc_info=outcome if isinstance(outcome, Exception) else None)
        last = now
        await asyncio.sleep(interval_seconds)
