"""Remove images and locks that nobody needs from the workspace's registry, one by one, each looked at again first."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from modelyard.api import Conflict, ImageKind, NotFound, OnLine, PruneReport, Registry
from modelyard.control import Fate, Thing, Verdict, decide, freed_bytes
from modelyard.controller.artifacts.entries import Entry, engines_on, entries_of, tags_of, users_of
from modelyard.controller.artifacts.uses import InUse, Leasing
from modelyard.controller.ports import History
from modelyard.environments import LOCKS
from modelyard.images import BASE_IMAGES, ENVIRONMENT_IMAGES, SERVICES, key_lock
from modelyard.images.attesting import signature_tag
from modelyard.processes import disk_errors
from modelyard.store import RevisionRecord

_DAY_SECONDS = 86_400.0
_BUILDING = "a build that runs"


@attrs.frozen
class _Stock:
    """What the registry has, read once."""

    entries: tuple[Entry, ...]
    locks: tuple[str, ...]
    holders: Mapping[str, Mapping[str, frozenset[str]]]
    """By repository and tag, which engines have a lease."""
    engines: Mapping[str, tuple[str, ...]]
    """By the key of an environment, the engine's own images that stand on its image."""


@attrs.frozen
class Pruning:
    """Prunes one registry. Locks of keys lie in `folder`."""

    registry: Registry
    leasing: Leasing
    folder: Path
    history: History

    async def prune(self, keep_days: float, *, dry_run: bool, on_line: OnLine) -> PruneReport:
        """Decide about everything; then do it, unless it is a dry run. A later prune goes on where one was stopped."""
        stock = await self._stock()
        on_line(f"{len(stock.entries)} images and {len(stock.locks)} locks are looked at")
        things = await self._things(stock)
        verdicts = decide(things, now=self.leasing.clock(), keep_seconds=keep_days * _DAY_SECONDS)
        if not dry_run:
            verdicts = await self._carry_out_all(verdicts, stock, on_line)
        gone = [one for one in verdicts if one.fate is Fate.REMOVE]
        return PruneReport(
            removed=tuple(one.told() for one in gone),
            kept=tuple(one.told() for one in verdicts if one.fate is not Fate.REMOVE),
            freed_bytes=_freed(stock.entries, {one.thing.name for one in gone}),
            dry_run=dry_run,
        )

    async def _stock(self) -> _Stock:
        services = {one.service for one in self.history()}
        repositories = (ENVIRONMENT_IMAGES, BASE_IMAGES, LOCKS, *(f"{SERVICES}/{name}" for name in services))
        leases = self.leasing.leases(self.registry)
        return _Stock(
            entries=tuple(await entries_of(self.registry, services)),
            locks=await tags_of(self.registry, LOCKS),
            holders={name: await leases.holders(name) for name in repositories},
            engines=await engines_on(self.registry),
        )

    async def _things(self, stock: _Stock) -> list[Thing]:
        things = [self._image(entry, stock) for entry in stock.entries]
        images = {tag for repository, tag in (one.name for one in things) if repository == ENVIRONMENT_IMAGES}
        things += [self._lock(tag, images, stock) for tag in stock.locks]
        there = {one.name for one in things}
        things += [
            Thing("lease", repository, tag, self._takers(repository, tag), held_by=self._others(holders))
            for repository, tags in stock.holders.items()
            for tag, holders in tags.items()
            if (repository, tag) not in there and self._own in holders
        ]
        leases = self.leasing.leases(self.registry)
        return [attrs.evolve(one, used_at=await leases.renewed_at(*one.name)) for one in things]

    def _image(self, entry: Entry, stock: _Stock) -> Thing:
        repository, tag = entry.repository.name, entry.tag
        above = frozenset(
            (one.repository.name, one.tag)
            for one in stock.entries
            if entry.kind is ImageKind.BASE and tag in one.stands_on
        )
        used_by = (*users_of(entry, self.history(), stock.engines), *self._takers(repository, tag))
        held_by = self._others(stock.holders[repository].get(tag, frozenset()))
        return Thing("image", repository, tag, used_by, above, held_by)

    def _lock(self, tag: str, images: set[str], stock: _Stock) -> Thing:
        below = frozenset({(ENVIRONMENT_IMAGES, tag)} if tag in images else ())
        used_by = (*lock_users(tag, self.history()), *self._takers(LOCKS, tag))
        held_by = self._others(stock.holders[LOCKS].get(tag, frozenset()))
        return Thing("lock", LOCKS, tag, used_by, below, held_by)

    def _takers(self, repository: str, tag: str) -> tuple[str, ...]:
        return takers(repository, tag, self.leasing.in_use, self.history())

    def _others(self, holders: frozenset[str]) -> frozenset[str]:
        return holders - {self._own}

    @property
    def _own(self) -> str:
        return self.leasing.leases(self.registry).holder

    async def _carry_out_all(
        self, verdicts: Sequence[Verdict], stock: _Stock, on_line: OnLine
    ) -> tuple[Verdict, ...]:
        """Do what was decided; what stands below something that stays after all stays too."""
        done: list[Verdict] = []
        for one in verdicts:
            above = [v.thing for v in done if v.fate is not Fate.REMOVE and v.thing.name in one.thing.below]
            if one.fate is Fate.REMOVE and above:
                done.append(attrs.evolve(one, fate=Fate.KEEP, why=f"{above[0].shown} stays"))
            else:
                done.append(await self._carry_out(one, stock, on_line))
        return tuple(done)

    async def _carry_out(self, verdict: Verdict, stock: _Stock, on_line: OnLine) -> Verdict:
        leases, name = self.leasing.leases(self.registry), verdict.thing.name
        if verdict.fate is Fate.DATE:
            await leases.renew(*name)
        if verdict.fate is Fate.LET_GO:
            await leases.drop(*name)
        if verdict.fate is not Fate.REMOVE:
            return verdict
        try:
            async with self._alone_with(verdict.thing):
                if reason := await self._needed_now(verdict.thing, stock):
                    return attrs.evolve(verdict, fate=Fate.KEEP, why=reason)
                await self._remove(verdict.thing, stock)
        except Conflict:
            return attrs.evolve(verdict, fate=Fate.KEEP, why=f"{_BUILDING} use it")
        on_line(f"removed {verdict.thing.shown}")
        return verdict

    def _alone_with(self, thing: Thing) -> contextlib.AbstractAsyncContextManager[object]:
        """Keep builds of an image away; raises `Conflict` at once when one runs."""
        if thing.repository not in (ENVIRONMENT_IMAGES, BASE_IMAGES):
            return contextlib.nullcontext()
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        return key_lock(self.folder, thing.tag, timeout_seconds=0)

    async def _needed_now(self, thing: Thing, stock: _Stock) -> str:
        """Say who came to need a thing since it was judged; much time may have passed."""
        now = self._image_or_lock(thing, attrs.evolve(stock, engines=await engines_on(self.registry)))
        if now.used_by:
            return f"{', '.join(now.used_by)} use it"
        leases = self.leasing.leases(self.registry)
        if await leases.renewed_at(*thing.name) != thing.used_at:
            return "it was used a moment ago"
        holders = await leases.holders(thing.repository)
        others = self._others(holders.get(thing.tag, frozenset()))
        return (
            f"another engine uses it: {', '.join(sorted(others))}" if others and thing.kind != "lease" else ""
        )

    def _image_or_lock(self, thing: Thing, stock: _Stock) -> Thing:
        for entry in stock.entries:
            if (entry.repository.name, entry.tag) == thing.name:
                return self._image(entry, stock)
        if thing.kind == "lock":
            return self._lock(thing.tag, set(), stock)
        return attrs.evolve(thing, used_by=self._takers(*thing.name))

    async def _remove(self, thing: Thing, stock: _Stock) -> None:
        if thing.kind != "lease":
            with contextlib.suppress(NotFound):  # somebody was faster
                found = await self.registry.resolve(thing.repository, thing.tag)
                await self.registry.delete(thing.repository, thing.tag)
                await self._remove_signatures(thing, found.digest, stock)
        await self.leasing.leases(self.registry).drop(*thing.name)

    async def _remove_signatures(self, thing: Thing, digest: str, stock: _Stock) -> None:
        """Remove what a registry does not know to speak of the image, unless another tag names the same one."""
        same = [
            one
            for one in stock.entries
            if (one.repository.name, one.seen.manifest.digest) == (thing.repository, digest)
        ]
        if thing.kind == "image" and all(one.tag == thing.tag for one in same):
            with contextlib.suppress(NotFound):  # nobody signed it
                await self.registry.delete(thing.repository, signature_tag(digest))


def takers(repository: str, tag: str, in_use: InUse, history: Sequence[RevisionRecord]) -> tuple[str, ...]:
    """Name what takes, or may at any moment take, a tag: builds, and roll-outs that have not come to theirs."""
    coming = [
        f"{one.service}:{one.number}"
        for one in history
        if one.outcome == "pending" and not one.environment_key
    ]
    return (*([_BUILDING] if (repository, tag) in in_use else []), *coming)


def lock_users(tag: str, history: Sequence[RevisionRecord]) -> tuple[str, ...]:
    """Name the revisions that refer to a lock, and those of older releases, of which that is not known."""
    return tuple(
        f"{one.service}:{one.number}"
        for one in history
        if one.environment_key and (tag in one.locks or tag == one.environment_key or not one.locks)
    )


def _freed(entries: Sequence[Entry], gone: set[tuple[str, str]]) -> int:
    removed: list[dict[str, int]] = []
    kept: list[dict[str, int]] = []
    for entry in entries:
        blobs = {one.digest: one.size for one in entry.seen.blobs}
        (removed if (entry.repository.name, entry.tag) in gone else kept).append(blobs)
    return freed_bytes(removed, kept)
