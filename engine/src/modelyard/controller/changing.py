"""The bodies of scale and delete."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

from modelyard.api import Deleted, ModelyardError, Scaled, ScalingRecord, Unavailable
from modelyard.controller import failpoints
from modelyard.controller.crew import Crew
from modelyard.controller.deploying import discard_trees
from modelyard.controller.operations import Run

_POLL_SECONDS = 0.5
_GRACE_SECONDS = 10.0


class Rescaling:
    """The body of `engine scale`: bounds first, then wait until the replicas follow."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    async def work(self, run: Run) -> None:
        """Set the bounds and wait for the reconcile loop to bring replicas within them."""
        await run.enter("set")
        failpoints.reach(run.point)
        low, high = run.record.arguments["minimum"], run.record.arguments["maximum"]
        await self._set(run.operation.service, low, high)
        await run.enter("settle")
        failpoints.reach(run.point)
        await self._settle(run)

    async def undo(self, run: Run, cause: ModelyardError) -> None:
        """Keep the bounds: they were asked for, and the reconcile loop goes on towards them."""

    def can_cancel(self, run: Run) -> bool:
        """Allow it at any time; what is not started yet is simply not waited for."""
        return not run.operation.finished

    async def _set(self, name: str, low: int, high: int) -> None:
        service = self._crew.memory.service(name)
        wanted = max(low, min(high, service.wanted))
        await self._crew.memory.change_service(name, bounds=(low, high), wanted=wanted)
        if wanted != service.wanted:
            await note_scaling(
                self._crew, name, service.wanted, wanted, f"bounds set to {low}..{high} by hand"
            )

    async def _settle(self, run: Run) -> None:
        crew, name = self._crew, run.operation.service
        revision = crew.memory.serving(name)
        if revision is None:
            return
        deadline = crew.parts.clock() + revision.spec.probes.startup_timeout_seconds + _GRACE_SECONDS
        while True:
            wanted = crew.memory.service(name).wanted
            mine = crew.memory.wanted_grants(name, revision.number)
            ready = sum(bool(crew.fleet.ready(one)) for one in mine)
            run.say(f"{ready} of {wanted} replicas are ready")
            if ready == len(mine) == wanted:
                return
            if crew.parts.clock() > deadline:
                raise Unavailable(
                    f"{ready} of {wanted} replicas are ready: {crew.routing.trouble.get(name, 'no more came up')}",
                    place=name,
                    remedy="`engine show` names the cause; the engine goes on trying",
                )
            await crew.fleet.observed.wait(at_most_seconds=_POLL_SECONDS)


class Deleting:
    """The body of delete: drain everything, then remove all there is of the service."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    async def work(self, run: Run) -> None:
        """Drain, take the routes away, forget; each step can be done twice."""
        name = run.operation.service
        await run.enter("drain")
        failpoints.reach(run.point)
        await self._crew.memory.change_service(name, deleting=True, wanted=0)
        failures = await self._crew.removing.remove(self._crew.memory.grants_of(name))
        if failures:
            raise Unavailable(
                f"{len(failures)} replicas cannot be removed: {failures[0]}",
                place=name,
                remedy="mend what the message names, then delete again",
            )
        await run.enter("remove")
        failpoints.reach(run.point)
        await self._remove(name)
        failpoints.reach(f"{run.point}.done")
        await self._crew.host.notify(Deleted(name))

    async def undo(self, run: Run, cause: ModelyardError) -> None:
        """Leave it marked as deleting: its replicas are on their way out already."""

    def can_cancel(self, run: Run) -> bool:
        """Refuse: replicas are going."""
        return run.operation.finished

    async def _remove(self, name: str) -> None:
        crew = self._crew
        revisions = crew.memory.revisions_of(name)
        await asyncio.to_thread(remove_logs, crew.home.logs / "replicas", name)
        crew.keys.delete(name)
        await crew.memory.forget_service(name)
        crew.routing.publish()
        await discard_trees(crew, name, revisions)


async def note_scaling(crew: Crew, name: str, before: int, after: int, reason: str) -> None:
    """Keep a change of the wanted number that nobody measured, and tell it."""
    record = ScalingRecord(
        at=crew.parts.wall_clock(),
        replicas=before,
        wanted=after,
        in_flight=0.0,
        utilization_percent=0.0,
        reason=reason,
    )
    await crew.memory.add_scaling(name, record)
    await crew.host.notify(Scaled(name, before, after, reason))


def remove_logs(folder: Path, service: str) -> None:
    """Remove the logs of a service's replicas, and of no service whose name begins alike."""
    for log in log_folders(folder, service):
        shutil.rmtree(log, ignore_errors=True)


def log_folders(folder: Path, service: str) -> list[Path]:
    """List the log folders of a service's replicas, oldest first."""
    if not folder.is_dir():
        return []
    mine = re.compile(rf"{re.escape(service)}-r\d+-[0-9a-z]{{6}}")
    found = [one for one in folder.iterdir() if mine.fullmatch(one.name)]
    return sorted(found, key=lambda one: (one.stat().st_mtime, one.name))
