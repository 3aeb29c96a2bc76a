"""Long work whose progress is a stream; who stops listening stops the work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from modelyard.api import Progress

T = TypeVar("T")
Tell = Callable[[Progress[T]], None]


async def told(work: Callable[[Tell[T]], Awaitable[T]]) -> AsyncIterator[Progress[T]]:
    """Yield what the work tells as it comes, and last its result; raises what it raised."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[Progress[T] | None] = asyncio.Queue()

    def tell(line: Progress[T]) -> None:
        loop.call_soon_threadsafe(lines.put_nowait, line)

    task = asyncio.ensure_future(work(tell))
    task.add_done_callback(lambda _: lines.put_nowait(None))
    try:
        while (line := await lines.get()) is not None:
            yield line
        yield Progress(result=await task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def line_by_line(tell: Tell[T]) -> Callable[[str], None]:
    """Tell words alone."""
    return lambda words: tell(Progress(words))
