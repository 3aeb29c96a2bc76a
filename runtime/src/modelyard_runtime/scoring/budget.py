"""The memory that all loaded models together may hold, and what they do hold."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping

from modelyard_runtime.scoring.evicting import Eviction, Key, choose
from modelyard_runtime.scoring.looking import SHORTEST_S, Look, pause_s
from modelyard_runtime.scoring.place import Place
from modelyard_runtime.scoring.sizes import in_memory

log = logging.getLogger(__name__)


class Budget:
    """`size_bytes` for these places; 0 = as much as they like."""

    def __init__(self, size_bytes: int, places: Mapping[Key, Place]) -> None:
        self.size_bytes = size_bytes
        self._places = places
        self._looks = (Look(0.0, 0, 0.0),) * 2
        """The last two."""
        self._loaded = asyncio.Event()

    def loaded(self) -> None:
        """Hear that there is one model more: others may have to leave."""
        self._loaded.set()

    def choose(self, *, need_bytes: int) -> Eviction:
        """Say who leaves so that so much more has room."""
        residents = [place.resident for place in self._places.values() if place.pool is not None]
        return choose(residents, need_bytes=need_bytes, budget_bytes=self.size_bytes)

    async def weigh(self) -> None:
        """Look at what the loaded models hold."""
        pids = {place.key: place.pool.pids for place in self._places.values() if place.pool is not None}
        began = time.monotonic()
        try:
            sizes = await asyncio.to_thread(in_memory, pids)
        except RuntimeError as error:  # no thread to be had: what was known still holds
            log.warning("what the models hold is not looked at: %s", error)
            return
        for key, size in sizes.items():
            self._places[key].size_bytes = size or self._places[key].size_bytes
        look = Look(began, sum(sizes.values()), time.monotonic() - began)
        self._looks = self._looks[1], look

    async def until_due(self) -> None:
        """Return when it is time to look again."""
        began = time.monotonic()
        while not self._loaded.is_set() and time.monotonic() < began + self._pause_s():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SHORTEST_S):
                    await self._loaded.wait()
        self._loaded.clear()

    def _pause_s(self) -> float:
        looked_at = self._looks[1].at
        pools = [place.pool for place in self._places.values() if place.pool is not None]
        used = any(pool.busy or pool.used_at > looked_at for pool in pools)
        return pause_s(*self._looks, budget_bytes=self.size_bytes, used=used)
