"""Environments of targets that run processes: folders on this machine."""

from __future__ import annotations

import asyncio

from modelyard.api import Registry, ServiceSpec, Unavailable
from modelyard.control import wish
from modelyard.controller.artifacts.looks import LOOK_SECONDS, Look, postponed
from modelyard.controller.ports import Built, OnLine
from modelyard.environments import (
    Arrangement,
    RegistryLockRecords,
    Shelf,
    arrange,
    build,
    bundled_runtime,
    is_built,
)
from modelyard.processes import Home


class EnvironmentMaker:
    """Solves and builds environments, or finds them."""

    def __init__(self, home: Home) -> None:
        self._home = home

    async def build(self, spec: ServiceSpec, registry: Registry, on_line: OnLine) -> Built:
        """Return the folders of the server's environment and of the script's own."""
        shelf, asked = await self._shelf(registry), wish(spec)
        chosen = await arrange(spec.environment, asked.isolation, shelf=shelf, on_line=on_line)
        path, worker_path = await build(chosen, shelf=shelf, on_line=on_line)
        lock = chosen.lock
        on_line(f"{len(lock.packages)} packages, lock {lock.lock_key[:12]}, isolation {chosen.isolation}")
        return Built(
            key=lock.lock_key,
            path=str(path),
            worker_path=str(worker_path or ""),
            isolation=chosen.isolation,
            isolation_why=asked.why or chosen.why,
        )

    async def look(self, spec: ServiceSpec, registry: Registry) -> Look:
        """Solve what was never solved: only that tells what `auto` is, and a deploy needs it anyway."""
        shelf, asked = await self._shelf(registry), wish(spec)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                chosen: Arrangement = await arrange(spec.environment, asked.isolation, shelf=shelf)
                built = await is_built(chosen, shelf)
        except (TimeoutError, Unavailable) as error:
            return postponed(asked.isolation, error)
        return Look(chosen.lock.lock_key, built, chosen.isolation, asked.why or chosen.why)

    async def _shelf(self, registry: Registry) -> Shelf:
        wheel = await asyncio.to_thread(bundled_runtime)
        return Shelf(self._home, RegistryLockRecords(registry), wheel)
