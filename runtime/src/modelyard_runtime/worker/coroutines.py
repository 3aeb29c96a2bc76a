"""Where an async script's coroutines run: one event loop on one thread, for the life of the script."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any, AsyncIterator, Iterator

_END = object()


class Coroutines:
    """Started by the first coroutine that comes, so an ordinary script costs nothing."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def finished(self, result: Any) -> Any:
        """Return the value itself, or what it comes to once it has been awaited."""
        if not inspect.isawaitable(result):
            return result
        return self._run(_awaited(result))

    def pieces(self, source: AsyncIterator[Any]) -> Iterator[Any]:
        """Iterate an asynchronous iterator from this thread; it is closed when the reader stops."""
        try:
            while True:
                piece = self._run(_following(source))
                if piece is _END:
                    return
                yield piece
        finally:
            close = getattr(source, "aclose", None)
            if close is not None:
                self._run(_awaited(close()))

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._running()).result()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="script-loop", daemon=True).start()
            return self._loop


async def _awaited(result: Any) -> Any:
    return await result


async def _following(source: AsyncIterator[Any]) -> Any:
    try:
        return await source.__anext__()
    except StopAsyncIteration:
        return _END
