"""The threads that model code runs on: never the event loop's.

One job at a time each; `init()` is the first job, so a script with one worker keeps one thread for life.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

Work = Callable[[], Any]
Done = Callable[[Any, BaseException | None], None]


class Workers:
    """A fixed pool. `submit` hands over and returns; `done` is called back on the event loop."""

    def __init__(self, count: int) -> None:
        self._jobs: queue.SimpleQueue[tuple[Work, asyncio.AbstractEventLoop, Done] | None] = (
            queue.SimpleQueue()
        )
        self._threads = [
            threading.Thread(target=self._serve, name=f"worker-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work, loop: asyncio.AbstractEventLoop, done: Done) -> None:
        """Run `work` on the next free thread."""
        self._jobs.put((work, loop, done))

    def close(self) -> None:
        """Let every thread end after its present job; does not wait for it."""
        for _ in self._threads:
            self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, loop, done = job
            value, failure = None, None
            try:
                value = work()
            except BaseException as error:  # a script may raise anything, SystemExit too: it is its answer
                log.exception("the scoring script raised")
                failure = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(done, value, failure)
