"""Stop all that an engine had started, with the engine itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from modelyard.api import ModelyardError, Target

log = logging.getLogger(__name__)


async def stop_all(targets: Iterable[Target]) -> None:
    """Stop every replica of every target; what could not be stopped is logged."""
    await asyncio.gather(*map(_empty, targets))


async def _empty(target: Target) -> None:
    """Stop every replica of a target; one that cannot be asked keeps nobody else's alive."""
    try:
        replicas = await target.observe()
    except ModelyardError as error:
        log.warning("replicas of the target %s could not be stopped: %s", target.name, error)
        return
    results = await asyncio.gather(*(target.delete(one.id) for one in replicas), return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            log.warning("a replica could not be stopped: %s", result)
