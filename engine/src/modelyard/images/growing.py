"""A file that one thread writes while the loop already sends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from modelyard.api import Descriptor
from modelyard.images.layers import Layer

Told = Callable[[int], None]
"""Hears how many bytes can be read; raises `Abandoned` when nobody wants more."""


class Abandoned(Exception):
    """Nobody reads what is written."""


class GrowingLayer:
    """A layer's file; implements `api.GrowingFile`."""

    def __init__(self, path: Path, writing: asyncio.Future[Layer]) -> None:
        self.path = path
        self._writing = writing
        self._size = 0
        self._news = asyncio.Event()
        writing.add_done_callback(lambda _: self._news.set())

    @classmethod
    @asynccontextmanager
    async def written(cls, path: Path, write: Callable[[Told], Layer]) -> AsyncIterator[Self]:
        """Have `write` called in a thread; at the end of the block it has ended, early if it must."""
        loop, abandoned = asyncio.get_running_loop(), False

        def told(size: int) -> None:
            if abandoned:
                raise Abandoned
            loop.call_soon_threadsafe(growing.grow, size)

        writing = asyncio.ensure_future(asyncio.to_thread(write, told))
        growing = cls(path, writing)
        try:
            yield growing
        finally:
            abandoned = True
            await asyncio.wait([writing])  # whose error was told to whoever waited for it
            if not writing.cancelled():
                writing.exception()

    @property
    def is_whole(self) -> bool:
        """Whether the layer is written to its end."""
        return self._writing.done()

    def tell(self, packed: asyncio.Future[Layer]) -> None:
        """Give what it became to somebody else too, as soon as it is known; of a failure only its reader hears."""

        def pass_on(writing: asyncio.Future[Layer]) -> None:
            if not writing.cancelled() and writing.exception() is None and not packed.done():
                packed.set_result(writing.result())

        self._writing.add_done_callback(pass_on)

    def grow(self, size: int) -> None:
        """Note that so many bytes are there; called in the loop."""
        self._size = size
        self._news.set()

    async def reach(self, size: int) -> int:
        """Wait until so many bytes are there, or all."""
        while self._size < size and not self.is_whole:
            self._news.clear()
            await self._news.wait()
        return (await self.whole()).size if self.is_whole else self._size

    async def whole(self) -> Descriptor:
        """Wait for the layer's end."""
        return (await self.layer()).blob

    async def layer(self) -> Layer:
        """Wait for the layer's end, and give what it became."""
        return await asyncio.shield(self._writing)
