"""Find a place and devices for replicas by asking targets, plugins and backends; `control` chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import attrs

from modelyard.api import Candidate, DeviceGrant, DeviceRequest, Refusal, Refused, ServiceSpec, Target
from modelyard.control import Assessment, Walk, choose, requests_of, spend
from modelyard.controller.memory import Memory
from modelyard.host import Host
from modelyard.store import GrantRecord


@attrs.frozen
class Allotment:
    """Replicas that found a place, a line about each, and why the rest found none."""

    grants: tuple[GrantRecord, ...] = ()
    stories: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class Allotting:
    """The ledger of devices is the grants in memory; one allotment at a time keeps it true."""

    def __init__(self, host: Host, memory: Memory, new_suffix: Callable[[], str]) -> None:
        self._host = host
        self._memory = memory
        self._new_suffix = new_suffix
        self._one_at_a_time = asyncio.Lock()

    async def allot(self, target: Target, spec: ServiceSpec, revision: int, count: int) -> Allotment:
        """Find places for `count` replicas and keep them. Raises `Refused` when even one finds none."""
        async with self._one_at_a_time:
            allotment = await self.try_out(target, spec, revision, count)
            if allotment.refusals:
                raise Refused(allotment.refusals)
            await self._memory.save(*allotment.grants)
            return allotment

    async def try_out(self, target: Target, spec: ServiceSpec, revision: int, count: int) -> Allotment:
        """Find places and keep nothing."""
        candidates = await target.candidates()
        done = Allotment()
        for _ in range(count):
            done, candidates = await self._one_more(done, candidates, spec, revision)
            if done.refusals:
                break
        return done

    async def _one_more(
        self, done: Allotment, candidates: tuple[Candidate, ...], spec: ServiceSpec, revision: int
    ) -> tuple[Allotment, tuple[Candidate, ...]]:
        placement = choose([await self._assess(spec, one) for one in candidates])
        if placement.node is None:
            return attrs.evolve(done, refusals=placement.refusals), candidates
        walk = await self._walk(spec, done)
        if walk.grant is None:
            return attrs.evolve(done, refusals=walk.passed_over), candidates
        grant = GrantRecord(
            replica=f"{spec.name}-r{revision}-{self._new_suffix()}",
            service=spec.name,
            revision=revision,
            node=placement.node,
            grant=walk.grant,
        )
        story = f"{placement.node} ({placement.reason}), {walk.story}"
        grown = Allotment((*done.grants, grant), (*done.stories, story))
        return grown, spend(candidates, placement.node, spec.resources)

    async def _assess(self, spec: ServiceSpec, candidate: Candidate) -> Assessment:
        vetoes = await self._host.veto_placement(spec, candidate)
        score = 0.0 if vetoes else await self._host.score_placement(spec, candidate)
        return Assessment(candidate=candidate, vetoes=vetoes, score=score)

    async def _walk(self, spec: ServiceSpec, done: Allotment) -> Walk:
        kept = (*self._memory.grants.values(), *done.grants)
        in_use = frozenset(device for one in kept for device in one.grant.device_ids)
        walk = Walk(requests_of(spec.resources))
        while (request := walk.current) is not None:
            walk = walk.answered(await self._ask(request, in_use))
        return walk

    async def _ask(self, request: DeviceRequest, in_use: frozenset[str]) -> DeviceGrant | Refusal:
        names = sorted(name for name, one in self._host.devices.items() if one.kind == request.kind)
        answer: DeviceGrant | Refusal = Refusal(
            plugin="engine",
            code="unknown_accelerator",
            message=f"no installed backend has devices of kind {request.kind!r}",
            remedy="`engine devices` lists what there is",
        )
        for name in names:
            answer = await self._host.call("devices", name, "request", request, in_use)
            if isinstance(answer, DeviceGrant):
                return answer
        return answer
