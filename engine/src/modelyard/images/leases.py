"""Who uses what in a registry, and since when at the latest: a lease for each engine and thing.

Images carry no time, so that the same content has the same digest, and registries tell none; and engines that
share one registry do not know each other's services. A lease says both: the repository `leases/<repository>` has
a tag `<tag>.<engine>`, whose manifest holds a time.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping

from modelyard.api import Artifact, NotFound, Registry, Unavailable, UserError

FOLDER = "leases"
RENEWED_SECONDS = 86_400.0
"""A lease that is younger is not written again: most deploys use what they used a moment ago."""
_TYPE = "application/vnd.modelyard.lease.v1"
_AT = "dev.modelyard.at"
_HOLDER = re.compile(r"[0-9a-f]{12}")


class Leases:
    """The leases of one registry, as one engine (12 hex digits) sees them."""

    def __init__(self, registry: Registry, holder: str, clock: Callable[[], float]) -> None:
        self._registry = registry
        self.holder = holder
        self._clock = clock
        self._known: dict[tuple[str, str], float] = {}

    async def renew(self, repository: str, tag: str) -> None:
        """Say that this engine uses a tag now."""
        now, known = self._clock(), self._known.get((repository, tag))
        if known is not None and now - known < RENEWED_SECONDS:
            return
        place, name = _place(repository), f"{tag}.{self.holder}"
        old = await self._digest(place, name)
        artifact = Artifact(_TYPE, (), {_AT: str(int(now))})
        written = await self._registry.push(place, artifact, tag=name)
        if old and old != written.digest:
            await self._remove(place, old)
        self._known[repository, tag] = now

    async def holders(self, repository: str) -> Mapping[str, frozenset[str]]:
        """Say which engines hold a lease of each tag of a repository."""
        try:
            names = await self._registry.list_tags(_place(repository))
        except NotFound:
            return {}
        found: dict[str, set[str]] = defaultdict(set)
        for name in names:
            tag, _, holder = name.rpartition(".")
            if tag and _HOLDER.fullmatch(holder):
                found[tag].add(holder)
        return {tag: frozenset(holders) for tag, holders in found.items()}

    async def renewed_at(self, repository: str, tag: str) -> float | None:
        """Say when this engine last said that it uses a tag (Unix seconds); None = never."""
        try:
            lease = await self._registry.pull(_place(repository), f"{tag}.{self.holder}")
            return float(lease.annotations[_AT])
        except (NotFound, KeyError, ValueError):
            return None

    async def drop(self, repository: str, tag: str) -> None:
        """Say that this engine uses a tag no more."""
        self._known.pop((repository, tag), None)
        try:
            await self._registry.delete(_place(repository), f"{tag}.{self.holder}")
        except NotFound:
            return

    async def _digest(self, place: str, name: str) -> str:
        try:
            return (await self._registry.resolve(place, name)).digest
        except NotFound:
            return ""

    async def _remove(self, place: str, digest: str) -> None:
        try:
            await self._registry.delete(place, digest)
        except (UserError, Unavailable):
            return  # where nothing can be deleted an old lease costs a few bytes


def _place(repository: str) -> str:
    return f"{FOLDER}/{repository}"
