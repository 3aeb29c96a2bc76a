"""Operations: one at a time for each service, every step in the store before it begins, watched and cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import attrs

from modelyard.api import (
    Conflict,
    ModelyardError,
    Operation,
    OperationKind,
    OperationState,
    StepReport,
)
from modelyard.controller.memory import Memory, Record
from modelyard.store import OperationRecord

log = logging.getLogger(__name__)
_WATCH_SECONDS = 60.0


class Body(Protocol):
    """What an operation does."""

    async def work(self, run: Run) -> None:
        """Do it, from the step the record names; raises when it fails."""
        ...

    async def undo(self, run: Run, cause: ModelyardError) -> None:
        """Take back what was done; called when `work` failed or was cancelled, before the end is told."""
        ...

    def can_cancel(self, run: Run) -> bool:
        """Say whether it can still be taken back."""
        ...


class Run:
    """One operation under way."""

    def __init__(self, memory: Memory, operation_id: str, clock: Callable[[], float]) -> None:
        self._memory = memory
        self._id = operation_id
        self._clock = clock
        self._entered_at = clock()

    @property
    def record(self) -> OperationRecord:
        """The operation as it stands."""
        return self._memory.operations[self._id]

    @property
    def operation(self) -> Operation:
        """The operation as users see it."""
        return self.record.operation

    @property
    def point(self) -> str:
        """Name the failpoint of the present step."""
        return f"{self.operation.kind.value}.{self.record.step}"

    async def enter(self, step: str, *also: Record) -> None:
        """Begin a step: kept, together with `also`, before anything of it is done."""
        steps = self._closed(OperationState.SUCCEEDED)
        steps = (
            *(one for one in steps if one.name != step),
            StepReport(name=step, state=OperationState.RUNNING),
        )
        self._entered_at = self._clock()
        operation = attrs.evolve(self.operation, steps=steps)
        await self._memory.save(attrs.evolve(self.record, operation=operation, step=step), *also)

    def say(self, message: str) -> None:
        """Show what the step is doing; not worth a write."""
        *before, last = self.operation.steps
        seconds = self._clock() - self._entered_at
        steps = (*before, attrs.evolve(last, message=message, seconds=seconds))
        operation = attrs.evolve(self.operation, steps=steps)
        self._memory.operations[self._id] = attrs.evolve(self.record, operation=operation)
        self._memory.changed.beat()

    async def end(
        self, state: OperationState, at: float, cause: ModelyardError | None = None, **result: object
    ) -> None:
        """Finish the operation."""
        operation = attrs.evolve(
            self.operation,
            state=state,
            steps=self._closed(state),
            finished_at=at,
            error_code=cause.code if cause else "",
            error=cause.message if cause else "",
            place=cause.place if cause else "",
            remedy=cause.remedy if cause else "",
            result={**self.operation.result, **result},
        )
        await self._memory.save(attrs.evolve(self.record, operation=operation))

    def _closed(self, state: OperationState) -> tuple[StepReport, ...]:
        seconds = self._clock() - self._entered_at
        return tuple(
            attrs.evolve(one, state=state, seconds=seconds) if one.state is OperationState.RUNNING else one
            for one in self.operation.steps
        )


class Operations:
    """Every operation of this engine."""

    def __init__(
        self, memory: Memory, *, clock: Callable[[], float], wall_clock: Callable[[], float]
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._wall_clock = wall_clock
        self._drivers: dict[str, asyncio.Task[None]] = {}
        self._work: dict[str, asyncio.Future[None]] = {}
        self._bodies: dict[str, Body] = {}
        self._cancelled: set[str] = set()

    def refuse_conflict(self, service: str) -> None:
        """Raise `Conflict`, naming the operation that holds the service, if one does."""
        running = self._memory.running(service)
        if running is not None:
            one = running.operation
            revision = f" of revision {one.revision}" if one.revision else ""
            raise Conflict(
                f"a {one.kind.value}{revision} is under way on {service!r}: operation {one.id}",
                place=service,
                remedy="wait until it has finished, or cancel it",
            )

    async def begin(self, record: OperationRecord, body: Body, *also: Record) -> Operation:
        """Keep a new operation and start it. Raises `Conflict`."""
        self.refuse_conflict(record.operation.service)
        await self._memory.save(record, *also)
        self.resume(record.operation.id, body)
        return record.operation

    def new(self, kind: OperationKind, service: str, revision: int, operation_id: str) -> Operation:
        """Make an operation that begins now."""
        return Operation(
            id=operation_id,
            service=service,
            kind=kind,
            state=OperationState.RUNNING,
            revision=revision,
            started_at=self._wall_clock(),
        )

    def resume(self, operation_id: str, body: Body) -> None:
        """Go on with an operation that is kept as running."""
        run = Run(self._memory, operation_id, self._clock)
        self._bodies[operation_id] = body
        task = asyncio.create_task(self._drive(run, body), name=f"operation {operation_id}")
        self._drivers[operation_id] = task
        task.add_done_callback(lambda _: self._forget(operation_id))

    async def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        """Give the operation now and at each change, until it has finished."""
        shown: Operation | None = None
        while shown is None or not shown.finished:
            now = self._memory.operation(operation_id).operation
            if now != shown:
                shown = now
                yield now
            else:
                await self._memory.changed.wait(at_most_seconds=_WATCH_SECONDS)

    async def cancel(self, operation_id: str) -> Operation:
        """Ask an operation to stop and take back what it did; returns when it has. Idempotent."""
        record = self._memory.operation(operation_id)
        driver = self._drivers.get(operation_id)
        if record.operation.finished or driver is None:
            return record.operation
        if not self._bodies[operation_id].can_cancel(Run(self._memory, operation_id, self._clock)):
            raise Conflict(
                f"the {record.operation.kind.value} can no longer be taken back",
                place=record.operation.service,
                remedy="wait until it has finished; then `engine rollback` goes back",
            )
        self._cancelled.add(operation_id)
        if (work := self._work.get(operation_id)) is not None:
            work.cancel()
        await asyncio.shield(driver)
        return self._memory.operation(operation_id).operation

    async def close(self) -> None:
        """Leave operations as they are; they go on with the next controller."""
        tasks = list(self._drivers.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(self, run: Run, body: Body) -> None:
        cause = await self._attempt(run, body.work(run))
        if cause is None:
            await run.end(OperationState.SUCCEEDED, self._wall_clock())
            return
        left = await self._attempt(run, body.undo(run, cause))
        if left is not None:
            log.error("operation %s was not taken back whole: %s", run.operation.id, left)
        cancelled = run.operation.id in self._cancelled
        state = OperationState.CANCELLED if cancelled else OperationState.FAILED
        await run.end(state, self._wall_clock(), cause)

    async def _attempt(self, run: Run, work: Awaitable[None]) -> ModelyardError | None:
        future = asyncio.ensure_future(work)
        self._work[run.operation.id] = future
        (outcome,) = await asyncio.gather(future, return_exceptions=True)
        self._work.pop(run.operation.id, None)
        if outcome is None or isinstance(outcome, ModelyardError):
            return outcome
        if isinstance(outcome, asyncio.CancelledError):
            return Conflict("it was cancelled", place=run.operation.service)
        log.error("operation %s failed unexpectedly", run.operation.id, exc_info=outcome)
        return ModelyardError(
            f"{type(outcome).__name__}: {outcome}",
            place=run.point,
            remedy="this is a defect of the engine or of a plugin; `controller.log` has the details",
        )

    def _forget(self, operation_id: str) -> None:
        self._drivers.pop(operation_id, None)
        self._bodies.pop(operation_id, None)
        self._cancelled.discard(operation_id)
