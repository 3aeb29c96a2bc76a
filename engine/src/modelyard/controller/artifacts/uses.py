"""What builds take of the workspace's registry: held in this engine while they run, leased from then on."""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from modelyard.api import Registry, Unavailable, UserError
from modelyard.environments import LOCKS, LockRecords, Noted
from modelyard.images import Leases
from modelyard.processes import Home, write_atomic

log = logging.getLogger(__name__)


class InUse:
    """Everything that builds of this engine take at this moment."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def __contains__(self, thing: object) -> bool:
        return thing in self._counts

    def add(self, thing: tuple[str, str]) -> None:
        """Hold a repository's tag."""
        self._counts[thing] += 1

    def remove(self, thing: tuple[str, str]) -> None:
        """Let go of it."""
        self._counts[thing] -= 1
        if not self._counts[thing]:
            del self._counts[thing]


class Uses:
    """What one build takes. As a context manager it lets go at its end; the leases stay."""

    def __init__(self, leases: Leases, in_use: InUse) -> None:
        self._leases = leases
        self._in_use = in_use
        self._taken: set[tuple[str, str]] = set()
        self._locks: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for thing in self._taken:
            self._in_use.remove(thing)
        self._taken.clear()

    @property
    def locks(self) -> tuple[str, ...]:
        """The records of locks that were used, sorted."""
        return tuple(sorted(self._locks))

    async def take(self, repository: str, tag: str) -> None:
        """Hold a tag, whether it is there already or not, and lease it."""
        self._hold(repository, tag)
        await self._lease(repository, tag)

    def noted(self, records: LockRecords) -> LockRecords:
        """Hold every record that is asked for, and lease those that are used."""

        async def used(key: str) -> None:
            self._locks.add(key)
            await self._lease(LOCKS, key)

        return Noted(records, lambda key: self._hold(LOCKS, key), used)

    def _hold(self, repository: str, tag: str) -> None:
        if (repository, tag) not in self._taken:
            self._taken.add((repository, tag))
            self._in_use.add((repository, tag))

    async def _lease(self, repository: str, tag: str) -> None:
        try:
            await self._leases.renew(repository, tag)
        except (UserError, Unavailable) as failure:
            # the service does not need it: without a lease others may only prune sooner
            log.warning("no lease of %s:%s could be written: %s", repository, tag, failure)


class Leasing:
    """Gives every build its uses, and whoever prunes what is in use."""

    def __init__(self, home: Home, *, clock: Callable[[], float] = time.time) -> None:
        self._home = home
        self.clock = clock
        self.in_use = InUse()
        self._leases: dict[str, Leases] = {}

    def leases(self, registry: Registry) -> Leases:
        """Give this engine's leases in a registry."""
        if registry.name not in self._leases:
            self._leases[registry.name] = Leases(registry, engine_id(self._home), self.clock)
        return self._leases[registry.name]

    def using(self, registry: Registry) -> Uses:
        """Begin to note what one build takes of a registry."""
        return Uses(self.leases(registry), self.in_use)


def engine_id(home: Home) -> str:
    """Give the name by which leases know the engine of a home: 12 hex digits, made once."""
    file = home.state / "engine-id"
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        fresh = secrets.token_hex(6)
        home.state.mkdir(parents=True, exist_ok=True)
        write_atomic(file, fresh.encode())
        return fresh
