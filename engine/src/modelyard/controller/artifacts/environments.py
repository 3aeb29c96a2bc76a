"""Environments of targets that run processes: folders on this machine."""

from __future__ import annotations

import asyncio

import attrs

from modelyard.api import Registry, ServiceSpec, Unavailable
from modelyard.control import wish
from modelyard.controller.artifacts.looks import LOOK_SECONDS, Look, postponed
from modelyard.controller.artifacts.uses import Leasing
from modelyard.controller.ports import Built, OnLine
from modelyard.environments import (
    Arrangement,
    Lock,
    LockRecords,
    RegistryLockRecords,
    Shelf,
    arrange,
    build,
    bundled_runtime,
    is_built,
    server_lock,
)
from modelyard.processes import Home


class EnvironmentMaker:
    """Solves and builds environments, or finds them."""

    def __init__(self, home: Home, leasing: Leasing | None = None) -> None:
        self._home = home
        self._leasing = leasing or Leasing(home)

    async def build(
        self, spec: ServiceSpec, registry: Registry, on_line: OnLine, *, frozen: bool = False
    ) -> Built:
        """Return the folders of the server's environment and of the script's own."""
        asked = wish(spec)
        with self._leasing.using(registry) as uses:
            shelf = await self.shelf(uses.noted(RegistryLockRecords(registry)))
            shelf = attrs.evolve(shelf, frozen=frozen)
            chosen = await arrange(spec.environment, asked.isolation, shelf=shelf, on_line=on_line)
            path, worker_path = await build(chosen, shelf=shelf, on_line=on_line)
            locks = uses.locks
        lock = chosen.lock
        on_line(f"{len(lock.packages)} packages, lock {lock.lock_key[:12]}, isolation {chosen.isolation}")
        return Built(
            key=lock.lock_key,
            path=str(path),
            worker_path=str(worker_path or ""),
            isolation=chosen.isolation,
            isolation_why=asked.why or chosen.why,
            locks=locks,
        )

    async def look(self, spec: ServiceSpec, registry: Registry, *, frozen: bool = False) -> Look:
        """Solve what was never solved: only that tells what `auto` is, and a deploy needs it anyway."""
        shelf, asked = await self.shelf(RegistryLockRecords(registry)), wish(spec)
        shelf = attrs.evolve(shelf, frozen=frozen)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                chosen: Arrangement = await arrange(spec.environment, asked.isolation, shelf=shelf)
                built = await is_built(chosen, shelf)
        except (TimeoutError, Unavailable) as error:
            return postponed(asked.isolation, error)
        return Look(chosen.lock.lock_key, built, chosen.isolation, asked.why or chosen.why)

    async def lock(
        self, spec: ServiceSpec, shelf: Shelf, on_line: OnLine
    ) -> tuple[Arrangement, tuple[Lock, ...]]:
        """Solve what the shelf lets solve; gives every lock that a build needs, the script's first."""
        chosen = await arrange(spec.environment, wish(spec).isolation, shelf=shelf, on_line=on_line)
        if chosen.isolation == "thread":
            return chosen, (chosen.lock,)
        return chosen, (chosen.lock, await server_lock(shelf, on_line=on_line))

    async def shelf(self, records: LockRecords) -> Shelf:
        """Give the shelf of this engine, over some records of locks."""
        wheel = await asyncio.to_thread(bundled_runtime)
        return Shelf(self._home, records, wheel)
