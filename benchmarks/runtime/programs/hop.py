"""The least that keeps a model off the event loop: one thread, one queue, one call back."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable

Work = Callable[[bytes], bytes]


class Hop:
    """Runs one function of bytes on its own thread."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._jobs: queue.SimpleQueue[tuple[bytes, Work, asyncio.Future[bytes]]] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._serve, daemon=True).start()

    def submit(self, body: bytes, work: Work | None = None) -> asyncio.Future[bytes]:
        """Run the function, or another one, over `body`."""
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._jobs.put((body, work or self._work, future))
        return future

    def _serve(self) -> None:
        while True:
            body, work, future = self._jobs.get()
            self._loop.call_soon_threadsafe(_settle, future, work(body))


def _settle(future: asyncio.Future[bytes], answer: bytes) -> None:
    if not future.done():  # a client that left has cancelled it
        future.set_result(answer)
