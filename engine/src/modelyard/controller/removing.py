"""Drain replicas and remove them, one task each, step by step as `control` says; a crash loses nothing.

The mark `draining` is in the store, so whoever comes after a crash goes on with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import attrs

from modelyard.api import ReplicaPhase, Unavailable
from modelyard.control import DrainFacts, DrainStep, next_drain_step
from modelyard.controller.fleet import Fleet
from modelyard.controller.loads import Loads
from modelyard.controller.memory import Memory
from modelyard.controller.ports import Parts, Xds
from modelyard.controller.routing import Routing
from modelyard.store import GrantRecord, RevisionRecord

log = logging.getLogger(__name__)

MARGIN_SECONDS = 5.0
"""A request may take its timeout; this much longer the drain waits for the counts to say so."""
SILENCE_SECONDS = 2.0
"""With no load report for this long no router is there to have requests: they come every 250 ms."""
_POLL_SECONDS = 0.25


@attrs.define
class _Progress:
    started_at: float
    acknowledged_at: float | None = None
    told_at: float | None = None


class Removing:
    """The drains under way."""

    def __init__(
        self,
        *,
        memory: Memory,
        fleet: Fleet,
        routing: Routing,
        xds: Xds,
        loads: Loads,
        parts: Parts,
    ) -> None:
        self._memory = memory
        self._fleet = fleet
        self._routing = routing
        self._xds = xds
        self._loads = loads
        self._clock = parts.clock
        self._settle_seconds = parts.settle_seconds
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._retry_at: dict[str, float] = {}

    async def remove(self, grants: Iterable[GrantRecord]) -> list[str]:
        """Mark replicas as on their way out, and wait until they are gone; gives what went wrong."""
        names = [one.replica for one in grants]
        await self.mark(names)
        tasks = [self._ensure(name) for name in names if name in self._memory.grants]
        results = await asyncio.gather(*map(asyncio.shield, tasks), return_exceptions=True)
        return [str(result) for result in results if isinstance(result, Exception)]

    async def mark(self, replicas: Iterable[str]) -> None:
        """Mark replicas as on their way out."""
        there = (self._memory.grants[name] for name in replicas if name in self._memory.grants)
        await self._memory.save(*(attrs.evolve(one, draining=True) for one in there if not one.draining))

    def go_on(self) -> None:
        """Drain whatever is marked and nobody drains; failed ones are tried again after a while."""
        for grant in list(self._memory.grants.values()):
            due = self._retry_at.get(grant.replica, 0.0) <= self._clock()
            if grant.draining and due:
                self._ensure(grant.replica)

    async def close(self) -> None:
        """Leave drains as they are; they go on with the next controller."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ensure(self, replica: str) -> asyncio.Task[None]:
        task = self._tasks.get(replica)
        if task is None:
            task = asyncio.create_task(self._drain(replica), name=f"drain {replica}")
            self._tasks[replica] = task
            task.add_done_callback(lambda done: self._done(replica, done))
        return task

    def _done(self, replica: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(replica, None)
        self._retry_at.pop(replica, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("replica %s could not be removed yet: %s", replica, error)
            self._retry_at[replica] = self._clock() + MARGIN_SECONDS

    async def _drain(self, replica: str) -> None:
        grant = self._memory.grants[replica]
        revision = self._memory.revision(grant.service, grant.revision)
        target = self._fleet.target_of(revision)
        progress = _Progress(started_at=self._clock())
        while (step := next_drain_step(self._facts(grant, revision, progress))) is not DrainStep.STOP:
            match step:
                case DrainStep.WAIT_FOR_ROUTERS:
                    await self._wait_for_routers(progress)
                case DrainStep.TELL_REPLICA:
                    await target.drain(replica)
                    progress.told_at = self._clock()
                case DrainStep.WAIT_FOR_IDLE:
                    await self._fleet.observed.wait(at_most_seconds=_POLL_SECONDS)
        await target.delete(replica)
        await self._memory.remove(grant)
        self._routing.publish()

    async def _wait_for_routers(self, progress: _Progress) -> None:
        try:
            await self._xds.acknowledged(self._routing.publish(), timeout_seconds=_POLL_SECONDS)
        except Unavailable:
            # at once when a router refuses: do not spin
            await self._fleet.observed.wait(at_most_seconds=_POLL_SECONDS)
        else:
            progress.acknowledged_at = self._clock()

    def _facts(self, grant: GrantRecord, revision: RevisionRecord, progress: _Progress) -> DrainFacts:
        seen = self._fleet.replicas.get(grant.replica)
        return DrainFacts(
            alive=seen is not None and seen.phase not in (ReplicaPhase.FAILED, ReplicaPhase.STOPPED),
            was_routed=bool(grant.address),
            acknowledged=progress.acknowledged_at is not None,
            told=progress.told_at is not None,
            router_in_flight=self._router_in_flight(grant, progress),
            replica_in_flight=self._replica_in_flight(grant, revision, progress),
            waited_s=self._clock() - progress.started_at,
            deadline_s=revision.spec.request.timeout_seconds + MARGIN_SECONDS,
        )

    def _router_in_flight(self, grant: GrantRecord, progress: _Progress) -> int | None:
        if progress.acknowledged_at is None:
            return None
        since = progress.acknowledged_at + self._settle_seconds
        count = self._loads.at_address(grant.service, grant.address, since=since)
        silent = self._clock() - since > SILENCE_SECONDS
        return 0 if count is None and silent else count

    def _replica_in_flight(
        self, grant: GrantRecord, revision: RevisionRecord, progress: _Progress
    ) -> int | None:
        seen = self._fleet.replicas.get(grant.replica)
        since = progress.told_at
        if seen is None or since is None or not self._fleet.seen_since(revision.spec.target, since):
            return None
        return seen.in_flight
