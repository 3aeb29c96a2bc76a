"""The reconcile loop: look at what is, compare with what is kept, do the difference."""

from __future__ import annotations

import asyncio
import logging

import attrs

from modelyard.api import ModelyardError, NotFound, Replica, ReplicaFailed, ReplicaPhase
from modelyard.control import excess
from modelyard.controller.crew import Crew
from modelyard.controller.deploying import with_built
from modelyard.store import GrantRecord, RevisionRecord

log = logging.getLogger(__name__)

ROUTER_SECONDS = 1.0
"""How often the router's process is looked after."""
BACKOFF_FIRST_SECONDS = 1.0
BACKOFF_MAX_SECONDS = 60.0


@attrs.define
class _Backoff:
    """When something that failed may be tried again."""

    wait_seconds: float = BACKOFF_FIRST_SECONDS
    until: float = 0.0

    def failed(self, now: float) -> None:
        self.until = now + self.wait_seconds
        self.wait_seconds = min(BACKOFF_MAX_SECONDS, 2 * self.wait_seconds)


class Reconciling:
    """What is done each time around."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._healing: dict[str, asyncio.Task[None]] = {}
        self._backoffs: dict[str, _Backoff] = {}
        self._deaths: dict[str, int] = {}
        self._router_due_at = 0.0
        self.router_trouble = ""

    async def tick(self) -> None:
        """Look, publish, mend."""
        await self._crew.fleet.observe()
        await self._crew.routing.remember_addresses()
        self._crew.routing.publish()
        await self._notice_deaths()
        await self._retire()
        self._crew.removing.go_on()
        for name in list(self._crew.memory.services):
            self._mend(name)
        await self._remove_strays()
        await self._look_after_router()

    async def close(self) -> None:
        """Stop mending."""
        for task in self._healing.values():
            task.cancel()
        await asyncio.gather(*self._healing.values(), return_exceptions=True)

    # --- deaths ------------------------------------------------------------------------------

    async def _notice_deaths(self) -> None:
        replicas = self._crew.fleet.replicas
        for replica in replicas.values():
            failed = replica.phase is ReplicaPhase.FAILED
            deaths = replica.restarts + failed
            # old restarts of a replica that is seen for the first time are no news
            known = self._deaths.get(replica.id, 0 if failed else deaths)
            self._deaths[replica.id] = max(known, deaths)
            if deaths > known:
                await self._tell_death(replica)
        for gone in self._deaths.keys() - replicas.keys():
            del self._deaths[gone]

    async def _tell_death(self, replica: Replica) -> None:
        cause = replica.cause or "it failed without a word"
        log.warning("replica %s failed: %s", replica.id, cause)
        await self._crew.host.notify(ReplicaFailed(replica.service, replica.id, cause))

    # --- replicas ----------------------------------------------------------------------------

    def _mend(self, name: str) -> None:
        revision = self._crew.memory.serving(name)
        busy = name in self._healing
        if revision is None or self._crew.memory.services[name].deleting or busy:
            return
        backoff = self._backoffs.setdefault(name, _Backoff())
        if backoff.until > self._crew.parts.clock() or self._is_whole(revision):
            return
        task = asyncio.create_task(self._heal(revision, backoff), name=f"mend {name}")
        self._healing[name] = task
        task.add_done_callback(lambda done: self._healed(name, backoff, done))

    def _is_whole(self, revision: RevisionRecord) -> bool:
        grants = self._crew.memory.wanted_grants(revision.service, revision.number)
        wanted = self._crew.memory.services[revision.service].wanted
        return len(grants) == wanted and not self._absent(grants)

    def _absent(self, grants: list[GrantRecord]) -> list[GrantRecord]:
        seen = self._crew.fleet.replicas
        # FAILED too: the target knows whether the replica's parent lives and tries by itself
        dead = (ReplicaPhase.FAILED, ReplicaPhase.STOPPED)
        return [one for one in grants if one.replica not in seen or seen[one.replica].phase in dead]

    async def _heal(self, revision: RevisionRecord, backoff: _Backoff) -> None:
        crew, name = self._crew, revision.service
        grants = crew.memory.wanted_grants(name, revision.number)
        wanted = crew.memory.services[name].wanted
        if len(grants) > wanted:
            await crew.removing.mark(self._surplus(grants, wanted))
            crew.removing.go_on()
            return
        target = crew.fleet.target_of(revision)
        if len(grants) < wanted:
            await crew.allotting.allot(target, revision.spec, revision.number, wanted - len(grants))
        grants = crew.memory.wanted_grants(name, revision.number)
        absent = self._absent(grants)
        await self._start(revision, absent)
        if any(one.replica in crew.fleet.replicas for one in absent):
            backoff.failed(crew.parts.clock())  # it was there and died: not at once again

    async def _start(self, revision: RevisionRecord, grants: list[GrantRecord]) -> None:
        """Start replicas; an image that somebody removed from its registry is made again."""
        crew = self._crew
        try:
            await crew.fleet.start(revision, grants)
        except NotFound:
            if revision.image is None:
                raise
            log.warning("the image of %s is gone and is made again", revision.service)
            target = crew.fleet.target_of(revision)
            revision = with_built(revision, await crew.parts.artifacts.build(revision, target, log.info))
            await crew.memory.save(revision)
            await crew.fleet.start(revision, grants)

    def _surplus(self, grants: list[GrantRecord], wanted: int) -> tuple[str, ...]:
        seen = self._crew.fleet.replicas
        absent = Replica(id="", service="", revision=0, phase=ReplicaPhase.STARTING)
        return excess([attrs.evolve(seen.get(one.replica, absent), id=one.replica) for one in grants], wanted)

    def _healed(self, name: str, backoff: _Backoff, task: asyncio.Task[None]) -> None:
        self._healing.pop(name, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._crew.routing.trouble.pop(name, None)
            if backoff.until <= self._crew.parts.clock():
                backoff.wait_seconds = BACKOFF_FIRST_SECONDS
            return
        backoff.failed(self._crew.parts.clock())
        text = error.message if isinstance(error, ModelyardError) else f"{type(error).__name__}: {error}"
        if self._crew.routing.trouble.get(name) != text:
            log.warning("service %s cannot be mended: %s", name, text, exc_info=error)
        self._crew.routing.trouble[name] = text

    async def _retire(self) -> None:
        """Mark replicas of revisions that neither serve nor are being rolled out."""
        memory = self._crew.memory
        for name, service in list(memory.services.items()):
            running = memory.running(name)
            current = {service.revision, running.operation.revision if running else 0}
            await self._crew.removing.mark(
                one.replica for one in memory.grants_of(name) if one.revision not in current
            )

    async def _remove_strays(self) -> None:
        """Remove replicas nobody planned, where the service is known and nothing is under way."""
        memory = self._crew.memory
        for stray in self._crew.fleet.strays():
            service = memory.services.get(stray.service)
            revision = memory.serving(stray.service)
            if service is None or revision is None or memory.running(stray.service) is not None:
                continue  # of an unknown service: `engine doctor` shows it; it may be all that serves
            log.warning("replica %s belongs to no plan and is removed", stray.id)
            await self._crew.fleet.target_of(revision).delete(stray.id)

    # --- the router --------------------------------------------------------------------------

    async def _look_after_router(self) -> None:
        now = self._crew.parts.clock()
        if now < self._router_due_at:
            return
        self._router_due_at = now + ROUTER_SECONDS
        try:
            await self._crew.parts.router.ensure()
            self.router_trouble = ""
        except ModelyardError as error:
            if self.router_trouble != error.message:
                log.error("the router does not run: %s", error)  # noqa: TRY400  the reason is the news
            self.router_trouble = error.message
