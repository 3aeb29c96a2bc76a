"""Several streams of lines as one, each line as soon as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

_Item = tuple[str, str | None]


async def merged(streams: Mapping[str, AsyncIterator[str]]) -> AsyncIterator[tuple[str, str]]:
    """Give (source, line) until all streams have ended; a stream's error ends all."""
    queue: asyncio.Queue[_Item] = asyncio.Queue(maxsize=1_000)
    tasks = [asyncio.create_task(_pump(name, stream, queue)) for name, stream in streams.items()]
    left = len(tasks)
    try:
        while left:
            source, line = await queue.get()
            if line is None:
                left -= 1
            else:
                yield source, line
        for task in tasks:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(name: str, stream: AsyncIterator[str], queue: asyncio.Queue[_Item]) -> None:
    try:
        async for line in stream:
            await queue.put((name, line))
    finally:
        await queue.put((name, None))
