"""Wait for a thread that speaks to a daemon; whoever is cancelled stops it and sees it end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from modelyard.api import OnLine
from modelyard.containers.building import Stop

_LINES_AHEAD = 256
T = TypeVar("T")


async def finish(work: Callable[[Stop], T]) -> T:
    """Run `work` in a thread. Cancelled, it is told to stop, and has ended when this raises."""
    stop = Stop()
    task = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # looked at: what a stopped thread raises is of no interest
        raise


class Teller:
    """Tells lines from a thread to the event loop, and waits for it when it falls behind."""

    def __init__(self, on_line: OnLine) -> None:
        self._on_line = on_line
        self._loop = asyncio.get_running_loop()
        self._told = 0

    def __call__(self, line: str) -> None:
        """Tell one line."""
        self._loop.call_soon_threadsafe(self._on_line, line)
        self._told += 1
        if self._told % _LINES_AHEAD == 0:
            caught_up = threading.Event()
            self._loop.call_soon_threadsafe(caught_up.set)
            caught_up.wait()
