"""The scaler loop: asks each service's scaler in its rhythm, keeps what it decides; never touches a replica."""

from __future__ import annotations

import logging

import attrs

from modelyard.api import (
    ModelyardError,
    Scaled,
    ScalingDecision,
    ScalingLimits,
    ScalingObservation,
    ScalingRecord,
)
from modelyard.control import effective_scaling
from modelyard.controller.crew import Crew
from modelyard.store import RevisionRecord

log = logging.getLogger(__name__)


@attrs.define
class _Rhythm:
    due_at: float = 0.0
    calm_since_s: float | None = None
    trouble: str = ""


class Autoscaling:
    """One rhythm for each service; lost at a restart, which only lengthens the calm."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._rhythms: dict[str, _Rhythm] = {}

    async def tick(self) -> None:
        """Ask whoever is due."""
        now = self._crew.parts.clock()
        for name in list(self._crew.memory.services):
            revision = self._crew.memory.serving(name)
            rhythm = self._rhythms.setdefault(name, _Rhythm())
            if revision is None or self._crew.memory.services[name].deleting or rhythm.due_at > now:
                continue
            rhythm.due_at = now + revision.spec.scaling.refresh_seconds
            await self._ask(revision, rhythm, now)
        for gone in self._rhythms.keys() - self._crew.memory.services.keys():
            del self._rhythms[gone]

    async def _ask(self, revision: RevisionRecord, rhythm: _Rhythm, now: float) -> None:
        observation = self._observe(revision, rhythm, now)
        if observation is None:
            return
        name = revision.spec.scaling.scaler
        try:
            decision: ScalingDecision = await self._crew.host.call("scalers", name, "desired", observation)
        except ModelyardError as error:
            # a service whose scaler is gone keeps its replicas
            if rhythm.trouble != error.message:
                rhythm.trouble = error.message
                log.warning("service %s is not scaled: %s", revision.service, error)
            return
        rhythm.trouble, rhythm.calm_since_s = "", decision.calm_since_s
        await self._keep(revision, observation, decision)

    def _observe(self, revision: RevisionRecord, rhythm: _Rhythm, now: float) -> ScalingObservation | None:
        crew, name = self._crew, revision.service
        scaling = effective_scaling(revision.spec.scaling, crew.memory.services[name].bounds)
        leaving = {one.address for one in crew.memory.grants_of(name) if one.draining}
        load = crew.loads.average(name, since=now - scaling.refresh_seconds, leave_out=leaving)
        if load is None:
            return None
        wanted = crew.memory.services[name].wanted
        ready = sum(bool(crew.fleet.ready(one)) for one in crew.memory.wanted_grants(name, revision.number))
        return ScalingObservation(
            at_s=now,
            in_flight=load,
            replicas=ready,
            starting=max(0, wanted - ready),
            limits=ScalingLimits(
                minimum=scaling.minimum,
                maximum=scaling.maximum,
                target_utilization_percent=scaling.target_utilization_percent,
                refresh_seconds=scaling.refresh_seconds,
                max_concurrent=revision.spec.slots,
            ),
            calm_since_s=rhythm.calm_since_s,
        )

    async def _keep(
        self, revision: RevisionRecord, observation: ScalingObservation, decision: ScalingDecision
    ) -> None:
        crew, name = self._crew, revision.service
        service = crew.memory.services.get(name)
        if service is None or service.revision != revision.number:
            return
        # whatever a stranger's scaler says, the bounds hold: those of now, which may have changed while it thought
        bounds = effective_scaling(revision.spec.scaling, service.bounds)
        wanted = max(bounds.minimum, min(bounds.maximum, decision.wanted))
        if wanted == service.wanted:
            return
        await crew.memory.change_service(name, wanted=wanted)
        record = ScalingRecord(
            at=crew.parts.wall_clock(),
            replicas=service.wanted,
            wanted=wanted,
            in_flight=observation.in_flight,
            utilization_percent=decision.utilization_percent,
            reason=decision.reason,
        )
        await crew.memory.add_scaling(name, record)
        await crew.host.notify(Scaled(name, service.wanted, wanted, decision.reason))
