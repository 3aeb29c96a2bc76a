"""Resolve a service's packages, keep the locks or show what would change, and build nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import PurePosixPath

import attrs

from modelyard.api import (
    Conflict,
    LockedEnvironment,
    LockReport,
    OnLine,
    Platform,
    Registry,
    ServiceSpec,
    Target,
    UserError,
)
from modelyard.control import changes_of
from modelyard.controller.artifacts.environments import EnvironmentMaker
from modelyard.controller.artifacts.images import ImageMaker
from modelyard.controller.artifacts.places import platform_for, read_platform
from modelyard.environments import (
    Drafts,
    Lock,
    LockRecords,
    NoLock,
    RegistryLockRecords,
    bundled_runtime,
    digest,
    parse_pins,
)
from modelyard.images import Desk
from modelyard.processes import Home


@attrs.frozen
class LockOrder:
    """What is to be locked: `platform` None = the one of the target's places."""

    spec: ServiceSpec
    target: Target
    platform: Platform | None = None
    refresh: bool = False
    """Resolve again what is recorded."""
    dry_run: bool = False
    expected: str = ""
    """The fingerprint of the result that somebody agreed to; any other is refused."""


@attrs.frozen
class _Solution:
    platform: str
    lock_key: str
    isolation: str
    environments: tuple[LockedEnvironment, ...]
    texts: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        return digest({"key": self.lock_key, "locks": list(self.texts)})


@attrs.frozen
class Locking:
    """Locks services, those that get an image and those that get a folder."""

    home: Home
    environments: EnvironmentMaker
    images: ImageMaker

    async def lock(self, asked: LockOrder, registry: Registry, on_line: OnLine) -> LockReport:
        """Resolve; keep what changed unless it is a dry run. Raises `Conflict` for an unexpected result."""
        records = RegistryLockRecords(registry)
        before = await self._stored(asked, registry, records)
        drafts = Drafts(records)
        solved = await self._solve(asked, registry, drafts, on_line, refresh=asked.refresh)
        if asked.expected not in ("", solved.fingerprint):
            raise Conflict(
                "the packages resolve otherwise than a moment ago",
                place=asked.spec.name,
                remedy="run the command again and look at the changes",
            )
        if not asked.dry_run:
            on_line(f"{await drafts.keep()} records are kept")
        return LockReport(
            service=asked.spec.name,
            kind=asked.target.artifact,
            platform=solved.platform,
            lock_key=solved.lock_key,
            isolation=solved.isolation,
            environments=solved.environments,
            changes=changes_of(before.environments if before else (), solved.environments),
            was_stored=before is not None,
            stored=not asked.dry_run or before == solved,
            fingerprint=solved.fingerprint,
        )

    async def _stored(self, asked: LockOrder, registry: Registry, records: LockRecords) -> _Solution | None:
        """Give what a frozen deploy would take; None where it would take nothing."""
        try:
            return await self._solve(asked, registry, records, lambda _: None, frozen=True)
        except NoLock:
            return None

    async def _solve(
        self,
        asked: LockOrder,
        registry: Registry,
        records: LockRecords,
        on_line: OnLine,
        *,
        frozen: bool = False,
        refresh: bool = False,
    ) -> _Solution:
        if asked.target.artifact == "image":
            wheel = await asyncio.to_thread(bundled_runtime)
            desk = Desk(self.home, records, wheel, on_line, frozen=frozen, refresh=refresh)
            return await self._of_image(asked, registry, desk)
        if asked.platform is not None:
            raise UserError(
                f"the target {asked.spec.target!r} runs processes of this machine: there is no other platform",
                place="--platform",
                remedy="leave it out, or choose a target that takes images",
            )
        return await self._of_process(asked, records, on_line, frozen=frozen, refresh=refresh)

    async def _of_image(self, asked: LockOrder, registry: Registry, desk: Desk) -> _Solution:
        platform = asked.platform or platform_for(await asked.target.candidates())
        solved = await self.images.lock(asked.spec, platform, registry, desk)
        pips = solved.arrangement.pips
        return _Solution(
            platform=str(platform),
            lock_key=solved.key,
            isolation=solved.arrangement.isolation,
            environments=tuple(_locked(one.prefix, one.python.version, parse_pins(one.lock)) for one in pips),
            texts=tuple(one.lock for one in pips),
        )

    async def _of_process(
        self, asked: LockOrder, records: LockRecords, on_line: OnLine, *, frozen: bool, refresh: bool
    ) -> _Solution:
        shelf = attrs.evolve(await self.environments.shelf(records), frozen=frozen, refresh=refresh)
        chosen, locks = await self.environments.lock(asked.spec, shelf, on_line)
        names = ("env",) if chosen.isolation == "thread" else ("script", "env")
        return _Solution(
            platform="this machine",
            lock_key=chosen.lock.lock_key,
            isolation=chosen.isolation,
            environments=tuple(
                LockedEnvironment(
                    name, _python_of(lock, chosen.lock, chosen.interpreter.version), lock.packages
                )
                for name, lock in zip(names, locks, strict=True)
            ),
            texts=tuple(lock.text for lock in locks),
        )


def platform_asked(text: str) -> Platform | None:
    """Read a platform that replicas exist for; empty = None. Raises `UserError`."""
    return read_platform(text, runs="replicas run on") if text else None


def _locked(prefix: PurePosixPath, python: str, pins: Iterable[str]) -> LockedEnvironment:
    return LockedEnvironment(prefix.name, python, tuple(sorted(pins)))


def _python_of(lock: Lock, script: Lock, version: str) -> str:
    """Say which Python a lock is for; the server's beside a script is the engine's own."""
    return version if lock is script else ""
