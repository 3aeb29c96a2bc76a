"""Begin operations: the records that each of them starts from."""

from __future__ import annotations

import uuid

import attrs

from modelyard.api import Operation, OperationKind, OperationState, StepReport, UserError
from modelyard.controller.changing import Deleting, Rescaling
from modelyard.controller.crew import Crew
from modelyard.controller.deploying import RollOut
from modelyard.controller.inspecting import next_revision
from modelyard.controller.operations import Body
from modelyard.store import OperationRecord, RevisionRecord, ServiceRecord


def body_of(crew: Crew, kind: OperationKind) -> Body:
    """Give the work of a kind of operation."""
    if kind is OperationKind.SCALE:
        return Rescaling(crew)
    return Deleting(crew) if kind is OperationKind.DELETE else RollOut(crew)


async def begin_roll_out(crew: Crew, kind: OperationKind, revision: RevisionRecord) -> Operation:
    """Keep a revision, and its service where that is new, and begin to roll it out. Raises `Conflict`."""
    operation = _new(crew, kind, revision.service, revision.number)
    service = crew.memory.services.get(revision.service) or ServiceRecord(
        name=revision.service, created_at=revision.created_at
    )
    return await crew.operations.begin(OperationRecord(operation), body_of(crew, kind), service, revision)


async def begin_scaling(crew: Crew, service: ServiceRecord, *, low: int, high: int) -> Operation:
    """Begin to give a service other bounds. Raises `Conflict`."""
    operation = _new(crew, OperationKind.SCALE, service.name, service.revision)
    record = OperationRecord(operation, arguments={"minimum": low, "maximum": high})
    return await crew.operations.begin(record, body_of(crew, OperationKind.SCALE))


async def begin_deletion(crew: Crew, service: str) -> Operation:
    """Begin to remove a service. Raises `Conflict`."""
    operation = _new(crew, OperationKind.DELETE, service, 0)
    return await crew.operations.begin(OperationRecord(operation), body_of(crew, OperationKind.DELETE))


async def nothing_to_do(crew: Crew, serving: RevisionRecord) -> Operation:
    """Keep a deploy that was done before it began: what it asks for is what serves."""
    message = f"nothing differs from revision {serving.number}, which serves"
    operation = attrs.evolve(
        _new(crew, OperationKind.DEPLOY, serving.service, serving.number),
        state=OperationState.SUCCEEDED,
        steps=(StepReport("plan", OperationState.SUCCEEDED, message),),
        finished_at=crew.parts.wall_clock(),
        result={"unchanged": True, "message": message},
    )
    await crew.memory.save(OperationRecord(operation))
    return operation


def once_more(crew: Crew, old: RevisionRecord) -> RevisionRecord:
    """Give the revision that rolls an earlier one out anew. Raises `UserError` for one that never was complete."""
    if not old.environment_path:
        raise UserError(
            f"revision {old.number} of {old.service!r} was never complete: {old.cause}",
            place=old.service,
            remedy="choose a revision that served once: `engine show` lists them",
        )
    return attrs.evolve(
        old,
        number=next_revision(crew, old.service),
        created_at=crew.parts.wall_clock(),
        outcome="pending",
        cause="",
        remedy="",
    )


def _new(crew: Crew, kind: OperationKind, service: str, revision: int) -> Operation:
    return crew.operations.new(kind, service, revision, uuid.uuid4().hex[:12])
