"""Why there is no image for what was asked: the difference to the nearest one that registries have."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from modelyard.api import ImageUnbuildable, ModelyardError, NotFound, Registry
from modelyard.images import ENVIRONMENT_IMAGES, Inputs, Repository, Shelves, inputs_of, read_image, why

MOST_COMPARED = 200
"""Images that are looked at: those of this engine's services first, the newest before the others."""
WHY_SECONDS = 5.0
"""What a sentence may cost; without it a plan is as true."""
_AT_ONCE = 8
log = logging.getLogger(__name__)


class Nearest:
    """Remembers what images were asked to be: a key never comes to stand for anything else."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Inputs | None] = {}

    async def why(self, wanted: Inputs, shelves: Shelves, recent: Sequence[str]) -> str:
        """Say which inputs keep `wanted` from being found; empty where that takes too long to find out."""
        try:
            async with asyncio.timeout(WHY_SECONDS):
                return why(wanted, await self._inputs(shelves, recent))
        except (TimeoutError, ModelyardError) as failure:
            log.warning("no reason was found for a missing image: %s", str(failure) or "it takes too long")
            return ""

    async def _inputs(self, shelves: Shelves, recent: Sequence[str]) -> list[Inputs]:
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(registry: Registry, tag: str) -> Inputs | None:
            async with turn:
                return await self._look(registry, tag)

        places = [
            (registry, tag)
            for registry in (shelves.workspace, *shelves.shared)
            for tag in _newest_first(await _tags(registry), recent)
        ]
        found = await asyncio.gather(*(one(*place) for place in places[:MOST_COMPARED]))
        return [inputs for inputs in found if inputs is not None]

    async def _look(self, registry: Registry, tag: str) -> Inputs | None:
        if (registry.name, tag) not in self._known:
            try:
                seen = await read_image(Repository(registry, ENVIRONMENT_IMAGES), tag)
            except (NotFound, ImageUnbuildable):
                return None
            self._known[registry.name, tag] = inputs_of(seen.base)
        return self._known[registry.name, tag]


async def _tags(registry: Registry) -> tuple[str, ...]:
    try:
        return await registry.list_tags(ENVIRONMENT_IMAGES)
    except ModelyardError:  # it has no such repository, cannot list, or is away
        return ()


def _newest_first(tags: Sequence[str], recent: Sequence[str]) -> list[str]:
    order = {key: number for number, key in enumerate(dict.fromkeys(recent))}
    return sorted(tags, key=lambda tag: (order.get(tag, len(order)), tag))
