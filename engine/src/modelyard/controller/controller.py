"""The controller: everything the engine can be asked, and the loops that keep it true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Self

from modelyard.api import (
    Conflict,
    Device,
    EngineSettings,
    EngineStatus,
    Finding,
    KeyPair,
    KeySlot,
    NotFound,
    Operation,
    OperationKind,
    Plan,
    Planned,
    PluginRecord,
    Refused,
    ScalingRecord,
    Secret,
    ServiceSpec,
    ServiceView,
)
from modelyard.control import effective_scaling, rescale
from modelyard.controller.autoscaling import Autoscaling
from modelyard.controller.beginning import (
    begin_deletion,
    begin_roll_out,
    begin_scaling,
    body_of,
    nothing_to_do,
    once_more,
)
from modelyard.controller.crew import Crew, assemble
from modelyard.controller.ending import stop_all
from modelyard.controller.inspecting import make_plan, next_revision, run_checks
from modelyard.controller.ports import Parts
from modelyard.controller.pulse import repeat
from modelyard.controller.reconciling import Reconciling
from modelyard.controller.viewing import logs_of, status_of, view_of
from modelyard.host import Host, survey_devices
from modelyard.processes import Home
from modelyard.store import RevisionRecord


class Controller:
    """One engine. The only caller of hooks; belongs to one event loop."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._memory = crew.memory
        self.images = crew.parts.images(lambda: tuple(crew.memory.revisions.values()))
        self.build_engine_image = crew.parts.engine_images.build
        self._reconciling = Reconciling(crew)
        self._autoscaling = Autoscaling(crew)
        self._loops: list[asyncio.Task[None]] = []

    # --- life --------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls, home: Home, settings: EngineSettings, host: Host, *, parts: Parts | None = None
    ) -> Self:
        """Open the store, adopt what runs, go on with what was under way.

        Raises `StoreDamaged`, or `UserError` when the router's port is taken; what runs goes on running.
        """
        if parts is None:
            from modelyard.controller.wiring import real_parts

            parts = real_parts(home, settings, host)
        home.create()
        self = cls(await assemble(home, settings, host, parts))
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self, *, stop_replicas: bool = False, stop_router: bool = False) -> None:
        """Let go. Replicas and router go on unless told otherwise; operations go on with the next start."""
        crew = self._crew
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._reconciling.close()
        await crew.operations.close()
        await crew.removing.close()
        if stop_router:
            await crew.parts.router.stop()
        if stop_replicas:
            await stop_all(crew.host.targets.values())
        await crew.xds.stop()
        await crew.store.close()

    async def _start(self) -> None:
        crew = self._crew
        # first look, then speak: a router that is told of no replica would send its traffic nowhere
        await crew.fleet.observe()
        await crew.routing.refresh_all()
        crew.routing.publish()
        await crew.xds.start()
        await crew.parts.router.ensure()
        for record in list(self._memory.operations.values()):
            if not record.operation.finished:
                crew.operations.resume(record.operation.id, body_of(crew, record.operation.kind))
        interval = crew.parts.interval_seconds
        self._loops = [
            asyncio.create_task(repeat(self._reconciling.tick, interval), name="reconcile"),
            asyncio.create_task(repeat(self._autoscaling.tick, interval), name="scale"),
        ]

    # --- looking -----------------------------------------------------------------------------

    def status(self) -> EngineStatus:
        """Show the engine."""
        return status_of(self._crew, self._reconciling)

    def services(self) -> tuple[ServiceView, ...]:
        """Show every service, by name."""
        return tuple(view_of(self._crew, name) for name in sorted(self._memory.services))

    def service(self, name: str) -> ServiceView:
        """Show one service. Raises `NotFound`."""
        return view_of(self._crew, name)

    def operation(self, operation_id: str) -> Operation:
        """Show an operation. Raises `NotFound`."""
        return self._memory.operation(operation_id).operation

    def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        """Give the operation now and at each change, until it has finished. Raises `NotFound`."""
        self._memory.operation(operation_id)
        return self._crew.operations.watch(operation_id)

    def scaling(self, name: str) -> tuple[ScalingRecord, ...]:
        """Show the scaler's decisions, oldest first."""
        self._memory.service(name)
        return self._memory.scaling_of(name)

    def logs(
        self, name: str, *, replica: str | None = None, lines: int = 100, follow: bool = False
    ) -> AsyncIterator[str]:
        """Give log lines of one replica, or of all."""
        return logs_of(self._crew, name, replica=replica, lines=lines, follow=follow)

    def plugins(self) -> tuple[PluginRecord, ...]:
        """Show every plugin found."""
        return self._crew.host.records

    async def devices(self) -> tuple[Device, ...]:
        """Show every device with its health."""
        return await survey_devices(self._crew.host)

    async def doctor(self) -> tuple[Finding, ...]:
        """Run every check."""
        return await run_checks(self._crew)

    # --- changing ----------------------------------------------------------------------------

    async def plan(self, spec: ServiceSpec, *, frozen: bool = False) -> Plan:
        """Say what a deploy would do; change nothing."""
        plan = await make_plan(self._crew, spec, frozen=frozen)
        await self._crew.host.notify(Planned(spec, plan))
        return plan

    async def deploy(self, spec: ServiceSpec, *, frozen: bool = False) -> Operation:
        """Begin to roll a spec out. Raises `Refused` or `Conflict`; nothing was changed then."""
        self._crew.operations.refuse_conflict(spec.name)
        plan = await self.plan(spec, frozen=frozen)
        if plan.refusals:
            raise Refused(plan.refusals)
        self._crew.operations.refuse_conflict(spec.name)
        serving = self._memory.serving(spec.name)
        if serving is not None and not plan.changes:
            return await nothing_to_do(self._crew, serving)
        number = next_revision(self._crew, spec.name)
        now = self._crew.parts.wall_clock()
        revision = RevisionRecord(service=spec.name, number=number, created_at=now, spec=spec, frozen=frozen)
        return await begin_roll_out(self._crew, OperationKind.DEPLOY, revision)

    async def rollback(self, name: str, revision: int | None = None) -> Operation:
        """Begin to roll an earlier revision out anew; None = the one that served before this one."""
        self._memory.service(name)
        self._crew.operations.refuse_conflict(name)
        old = self._memory.before(name) if revision is None else self._memory.revision(name, revision)
        return await begin_roll_out(self._crew, OperationKind.ROLLBACK, once_more(self._crew, old))

    async def scale(
        self,
        name: str,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
        replicas: int | None = None,
    ) -> Operation:
        """Set the bounds of a service until its next deploy."""
        service = self._memory.service(name)
        serving = self._memory.serving(name)
        if serving is None:
            raise Conflict(f"{name!r} does not serve yet", place=name, remedy="deploy it first")
        now = effective_scaling(serving.spec.scaling, service.bounds)
        low, high = rescale(now, minimum=minimum, maximum=maximum, replicas=replicas)
        return await begin_scaling(self._crew, service, low=low, high=high)

    async def delete(self, name: str) -> Operation:
        """Begin to drain a service and to remove everything of it."""
        self._memory.service(name)
        return await begin_deletion(self._crew, name)

    async def cancel(self, operation_id: str) -> Operation:
        """Stop an operation and take back what it did. Raises `Conflict` when it is too late."""
        return await self._crew.operations.cancel(operation_id)

    # --- keys --------------------------------------------------------------------------------

    def keys(self, name: str) -> KeyPair:
        """Give a service's keys. Raises `NotFound` when it has none."""
        self._memory.service(name)
        keys = self._crew.keys.read(name)
        if keys is None:
            raise NotFound(f"{name!r} has no keys", place=name, remedy="`auth: key` in its file issues some")
        return keys

    async def rotate_key(self, name: str, slot: KeySlot, value: Secret | None = None) -> KeyPair:
        """Replace one key; the new one is live on every router when this returns, the old one dead."""
        crew = self._crew
        keys = self.keys(name)
        revision = self._memory.serving(name) or self._memory.revisions_of(name)[-1]
        fresh: KeyPair = await crew.host.call(
            "authenticators", revision.spec.auth, "rotate", keys, slot, value
        )
        crew.keys.write(name, fresh)
        await crew.routing.refresh_policy(name)
        await crew.routing.settle(timeout_seconds=crew.parts.acknowledge_seconds)
        return fresh
