"""Wake everybody who waits for a change; what changed, each looks up anew."""

from __future__ import annotations

import asyncio
import contextlib


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
            await asyncio.wait_for(self._next.wait(), at_most_seconds)
