"""The roll-out of a revision, step by step. Each step can be done twice; none leaves fewer replicas serving.

Until the step `drain` begins everything is taken back when something fails; what served, serves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import attrs

from modelyard.api import Deployed, DeployFailed, ModelyardError, OperationKind, SystemError_
from modelyard.control import STEPS, replicas_for, resume_at, step_after, verdict
from modelyard.control.rollout import committed
from modelyard.controller import failpoints
from modelyard.controller.crew import Crew
from modelyard.controller.operations import Run
from modelyard.controller.ports import Built, Kept
from modelyard.store import RevisionRecord

log = logging.getLogger(__name__)

REVISIONS_KEPT = 10
_POLL_SECONDS = 0.5


class RollOut:
    """The body of deploys and rollbacks."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._memory = crew.memory

    async def work(self, run: Run) -> None:
        """Walk the steps from where the record stands."""
        step: str | None = self._first_step(run)
        steps = {name: getattr(self, f"_{name}") for name in STEPS}
        while step is not None:
            if step == "drain":
                await self._commit(run)
            else:
                await run.enter(step)
            failpoints.reach(run.point)
            await steps[step](run)
            failpoints.reach(f"{run.point}.done")
            step = step_after(step)

    async def undo(self, run: Run, cause: ModelyardError) -> None:
        """Remove the new replicas; the cause is kept first, so that a crash cannot turn back into a try."""
        if self.is_committed(run):
            return
        revision = self._revision(run)
        failed = attrs.evolve(revision, outcome="failed", cause=cause.message, remedy=cause.remedy)
        grants = self._memory.grants_of(revision.service, revision.number)
        await self._memory.save(failed, *(attrs.evolve(one, draining=True) for one in grants))
        await self._crew.removing.remove(grants)

    def can_cancel(self, run: Run) -> bool:
        """Say whether the old revision still serves."""
        return not self.is_committed(run)

    @staticmethod
    def is_committed(run: Run) -> bool:
        """Say whether the new revision serves for good."""
        return bool(run.record.step) and committed(run.record.step)

    # --- where to begin ---------------------------------------------------------------------

    def _first_step(self, run: Run) -> str:
        revision = self._revision(run)
        if revision.outcome == "failed":  # a crash interrupted its undoing
            raise SystemError_(revision.cause, place=revision.service, remedy=revision.remedy)
        if not run.record.step:
            return STEPS[0]
        resumed = resume_at(
            run.record.step,
            inputs_present=_present(revision),
            source_present=run.operation.kind is OperationKind.DEPLOY and _source_present(revision),
        )
        if resumed.step is None:
            raise DeployFailed(
                f"the roll-out cannot go on: {resumed.because}",
                place=revision.spec.code.source,
                remedy="deploy again from a folder that is there",
            )
        return resumed.step

    def _revision(self, run: Run) -> RevisionRecord:
        return self._memory.revision(run.operation.service, run.operation.revision)

    # --- the steps ---------------------------------------------------------------------------

    async def _snapshot(self, run: Run) -> None:
        revision = self._revision(run)
        if revision.code_dir and _is_kept(revision):
            return  # a rollback, or a crash after this step: the user's folder may have changed since
        kept = await self._crew.parts.artifacts.keep(revision.spec, revision.number)
        await self._memory.save(_with(revision, kept))

    async def _environment(self, run: Run) -> None:
        revision = self._revision(run)
        target = self._crew.fleet.target_of(revision)
        built = await self._crew.parts.artifacts.build(revision, target, run.say)
        await self._memory.save(with_built(revision, built))

    async def _place(self, run: Run) -> None:
        revision = self._revision(run)
        await self._crew.ensure_keys(revision)
        if self._memory.grants_of(revision.service, revision.number):
            return
        serving = self._memory.service(revision.service)
        count = replicas_for(revision.spec.scaling, serving.wanted if serving.revision else 0)
        target = self._crew.fleet.target_of(revision)
        allotment = await self._crew.allotting.allot(target, revision.spec, revision.number, count)
        run.say("; ".join(dict.fromkeys(allotment.stories)))

    async def _start(self, run: Run) -> None:
        revision = self._revision(run)
        grants = self._memory.grants_of(revision.service, revision.number)
        await self._crew.fleet.start(revision, grants)

    async def _ready(self, run: Run) -> None:
        revision = self._revision(run)
        clock: Callable[[], float] = self._crew.parts.clock
        started_at = clock()
        while True:
            judged = verdict(
                [one.replica for one in self._memory.grants_of(revision.service, revision.number)],
                tuple(self._crew.fleet.replicas.values()),
                waited_s=clock() - started_at,
                limit_s=revision.spec.probes.startup_timeout_seconds,
            )
            if judged.failed:
                raise DeployFailed(judged.message, place=revision.service, remedy=judged.remedy)
            if judged.message != run.operation.steps[-1].message:
                run.say(judged.message)
            if judged.ready:
                return
            await self._crew.fleet.observed.wait(at_most_seconds=_POLL_SECONDS)

    async def _route(self, run: Run) -> None:
        await self._crew.routing.refresh_policy(run.operation.service)
        await self._crew.routing.settle(timeout_seconds=self._crew.parts.acknowledge_seconds)

    async def _commit(self, run: Run) -> None:
        """Hand the service over: one transaction, after which nothing is taken back."""
        revision = self._revision(run)
        service = self._memory.service(revision.service)
        old = [one for one in self._memory.grants_of(service.name) if one.revision != revision.number]
        past = [
            attrs.evolve(one, outcome="superseded")
            for one in self._memory.revisions_of(service.name)
            if one.outcome == "serving" and one.number != revision.number
        ]
        count = len(self._memory.wanted_grants(service.name, revision.number))
        await run.enter(
            "drain",
            attrs.evolve(service, revision=revision.number, wanted=count, bounds=None),
            attrs.evolve(revision, outcome="serving", cause="", remedy=""),
            *past,
            *(attrs.evolve(one, draining=True) for one in old),
        )

    async def _drain(self, run: Run) -> None:
        name = run.operation.service
        await self._crew.routing.refresh_policy(name)
        old = [one for one in self._memory.grants_of(name) if one.draining]
        if old:
            run.say(f"{len(old)} old replicas finish their last requests")
        failures = await self._crew.removing.remove(old)
        if failures:
            # the new revision serves; the reconcile loop goes on trying
            run.say(f"{len(failures)} old replicas are not gone yet: {failures[0]}")

    async def _finish(self, run: Run) -> None:
        operation = run.operation
        await self._attest(run)
        await forget_old_revisions(self._crew, operation.service, keep=REVISIONS_KEPT)
        seconds = self._crew.parts.wall_clock() - operation.started_at
        await self._crew.host.notify(Deployed(operation.service, operation.revision, seconds))

    async def _attest(self, run: Run) -> None:
        """Say what the image is made of, now that nobody waits for it."""
        revision = self._revision(run)
        if revision.image is None:
            return
        try:
            await self._crew.parts.artifacts.attest(revision, self._crew.fleet.target_of(revision))
        except ModelyardError as failure:
            # it serves: a registry that is away costs its bill of materials, not the deploy
            run.say(f"the image's bill of materials is not kept: {failure}")


async def forget_old_revisions(crew: Crew, service: str, *, keep: int) -> None:
    """Forget revisions beyond the newest few, and the trees that nobody refers to any more."""
    memory = crew.memory
    held = {one.revision for one in memory.grants_of(service)}
    if service in memory.services:
        held.add(memory.services[service].revision)
    revisions = memory.revisions_of(service)
    old = [one for one in revisions[: max(0, len(revisions) - keep)] if one.number not in held]
    await memory.remove(*old)
    await discard_trees(crew, service, old)


async def discard_trees(crew: Crew, service: str, revisions: list[RevisionRecord]) -> None:
    """Remove the trees of forgotten revisions, unless another revision has the same."""
    kept = {folder for one in crew.memory.revisions.values() for folder in (one.code_dir, one.models_root)}
    folders = {folder for one in revisions for folder in (one.code_dir, one.models_root)} - kept - {""}
    await crew.parts.artifacts.discard(service, [one.number for one in revisions], sorted(folders))


def with_built(revision: RevisionRecord, built: Built) -> RevisionRecord:
    """Remember what a revision's replicas start from."""
    return attrs.evolve(
        revision,
        environment_key=built.key,
        environment_path=built.path,
        worker_environment_path=built.worker_path,
        isolation=built.isolation,
        isolation_why=built.isolation_why,
        image=built.image,
        locks=built.locks,
    )


def _with(revision: RevisionRecord, kept: Kept) -> RevisionRecord:
    return attrs.evolve(revision, **attrs.asdict(kept, recurse=False))


def _present(revision: RevisionRecord) -> bool:
    environments = (revision.environment_path, revision.worker_environment_path)
    on_disk = () if revision.image else environments  # those of an image are inside it
    folders = (revision.code_dir, revision.models_root, *on_disk)
    return bool(revision.code_dir) and all(Path(one).is_dir() for one in folders if one)


def _is_kept(revision: RevisionRecord) -> bool:
    return all(Path(one).is_dir() for one in (revision.code_dir, revision.models_root) if one)


def _source_present(revision: RevisionRecord) -> bool:
    paths = (revision.spec.code.source, *(model.path for model in revision.spec.models))
    return all(Path(one).exists() for one in paths)
