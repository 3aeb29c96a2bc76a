"""Stand-ins for machines: a device backend with the devices you name, a target whose replicas obey you."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import attrs

from modelyard.api import (
    Candidate,
    Device,
    DeviceGrant,
    DeviceHealth,
    DeviceRequest,
    Maturity,
    NotFound,
    Refusal,
    Replica,
    ReplicaId,
    ReplicaPhase,
    ReplicaPlan,
    ServiceSpec,
    Workload,
)

GIB = 1024**3
_FOLLOW_SECONDS = 0.01


@attrs.define
class FakeDeviceBackend:
    """A backend with exactly the `devices` given; change the field to change the machine."""

    devices: tuple[Device, ...] = ()
    name: str = "fake"
    kind: str = "fake"
    maturity: Maturity = Maturity.STABLE

    def discover(self) -> tuple[Device, ...]:
        """List the devices."""
        return self.devices

    def health(self) -> tuple[Device, ...]:
        """List the devices; their health is what they were given."""
        return self.devices

    def request(self, request: DeviceRequest, in_use: frozenset[str]) -> DeviceGrant | Refusal:
        """Grant the first devices that are healthy, free, large enough and of the model asked for."""
        fit = [one for one in self.devices if one.id not in in_use and _fits(one, request)]
        if len(fit) < request.count:
            return Refusal(
                plugin=self.name,
                code=f"{self.name}_short",
                message=f"{request.count} asked, {len(fit)} free",
                remedy="ask for fewer devices",
                numbers={"asked": request.count, "free": len(fit)},
                retryable=True,
            )
        ids = tuple(one.id for one in fit[: request.count])
        return DeviceGrant(backend=self.name, device_ids=ids, environment={"FAKE_DEVICES": ",".join(ids)})


def _fits(device: Device, request: DeviceRequest) -> bool:
    return (
        device.health is not DeviceHealth.UNHEALTHY
        and device.memory_bytes >= request.memory_bytes
        and request.model.lower() in device.model.lower()
    )


@attrs.define
class FakePlace:
    """The machine behind fake targets; it outlives them, as a real one does.

    `immediately_ready` False leaves new replicas STARTING until `set_ready`.
    """

    candidates: tuple[Candidate, ...] = (
        Candidate(node="fake", free_millicores=64_000, free_memory_bytes=64 * GIB),
    )
    immediately_ready: bool = True
    replicas: dict[ReplicaId, Replica] = attrs.field(factory=dict)
    logs: dict[ReplicaId, list[str]] = attrs.field(factory=dict)
    applied: list[Workload] = attrs.field(factory=list)
    deleted: list[ReplicaId] = attrs.field(factory=list)

    def set_ready(self, replica: ReplicaId) -> None:
        """Let a replica finish its start."""
        self.change(replica, phase=ReplicaPhase.READY, address=f"unix:/fake/{replica}.sock")

    def fail(self, replica: ReplicaId, cause: str, remedy: str = "", *, restarts: int = 1) -> None:
        """Let a replica die."""
        self.change(
            replica, phase=ReplicaPhase.FAILED, address="", cause=cause, remedy=remedy, restarts=restarts
        )

    def vanish(self, replica: ReplicaId) -> None:
        """Let a replica be gone without a trace."""
        del self.replicas[replica]

    def change(self, replica: ReplicaId, **facts: object) -> None:
        """Change any field of a replica, as `in_flight=3`."""
        self.replicas[replica] = attrs.evolve(self.replicas[replica], **facts)  # type: ignore[arg-type]  # names are the caller's

    def start(self, workload: Workload, plan: ReplicaPlan) -> None:
        """Start one replica; one that lives already is left alone."""
        there = self.replicas.get(plan.id)
        if there is not None and there.phase not in (ReplicaPhase.FAILED, ReplicaPhase.STOPPED):
            return
        self.replicas[plan.id] = Replica(
            id=plan.id,
            service=workload.spec.name,
            revision=workload.revision,
            phase=ReplicaPhase.STARTING,
            node=plan.node,
            device_ids=plan.grant.device_ids,
            restarts=there.restarts if there else 0,
        )
        self.logs.setdefault(plan.id, []).append(f"{plan.id} started")
        if self.immediately_ready:
            self.set_ready(plan.id)


@attrs.define
class FakeTarget:
    """A target over a `FakePlace`; give two targets one place to play an engine's restart."""

    place: FakePlace = attrs.field(factory=FakePlace)
    name: str = "fake"
    artifact: Literal["environment", "image"] = "environment"
    maturity: Maturity = Maturity.STABLE
    refusals: tuple[Refusal, ...] = ()
    """What it refuses of any spec."""

    def refuse(self, spec: ServiceSpec) -> tuple[Refusal, ...]:  # noqa: ARG002  it refuses all alike
        """Give the refusals it was made with."""
        return self.refusals

    async def candidates(self) -> tuple[Candidate, ...]:
        """List the place's nodes."""
        return self.place.candidates

    async def apply(self, workload: Workload) -> None:
        """Start what is planned and does not live yet."""
        self.place.applied.append(workload)
        for plan in workload.replicas:
            self.place.start(workload, plan)

    async def observe(self) -> tuple[Replica, ...]:
        """List what is there."""
        return tuple(self.place.replicas.values())

    async def drain(self, replica: ReplicaId) -> None:
        """Move a live replica to DRAINING; its `in_flight` stays what it was until you change it."""
        there = self.place.replicas.get(replica)
        if there is not None and there.phase in (ReplicaPhase.STARTING, ReplicaPhase.READY):
            self.place.change(replica, phase=ReplicaPhase.DRAINING)

    async def delete(self, replica: ReplicaId) -> None:
        """Remove a replica; absent is fine."""
        if self.place.replicas.pop(replica, None) is not None:
            self.place.deleted.append(replica)

    async def logs(self, replica: ReplicaId, *, lines: int, follow: bool) -> AsyncIterator[str]:
        """Yield the last lines, then new ones."""
        if replica not in self.place.logs:
            raise NotFound(f"no logs of replica {replica!r}", place=self.name)
        kept = self.place.logs[replica]
        told = max(0, len(kept) - lines)
        while True:
            for line in kept[told:]:
                told += 1
                yield line
            if not follow or replica not in self.place.replicas:
                return
            await asyncio.sleep(_FOLLOW_SECONDS)
