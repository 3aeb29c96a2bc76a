"""The store's content in memory: read at once, written through.

A change is seen in memory at once and is durable when `save` returns; if the disk refuses it, it is undone.
Belongs to one event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import attrs

from modelyard.api import ModelyardError, NotFound, Operation, ScalingRecord
from modelyard.controller.pulse import Pulse
from modelyard.store import Content, GrantRecord, OperationRecord, RevisionRecord, ServiceRecord, Store

SCALING_KEPT = 500
Record = ServiceRecord | RevisionRecord | OperationRecord | GrantRecord


class Memory:
    """What the engine knows, by kind."""

    def __init__(self, store: Store, content: Content) -> None:
        self._store = store
        self.changed = Pulse()
        self.services = {one.name: one for one in content.services}
        self.revisions = {(one.service, one.number): one for one in content.revisions}
        self.operations = {one.operation.id: one for one in content.operations}
        self.grants = {one.replica: one for one in content.grants}
        self._scaling = {
            name: deque(records, maxlen=SCALING_KEPT) for name, records in content.scaling.items()
        }

    # --- reading ----------------------------------------------------------------------------

    def service(self, name: str) -> ServiceRecord:
        """Give a service. Raises `NotFound` with what there is."""
        if name not in self.services:
            there = ", ".join(sorted(self.services)) or "none yet"
            raise NotFound(f"there is no service {name!r}", remedy=f"services: {there}")
        return self.services[name]

    def revision(self, service: str, number: int) -> RevisionRecord:
        """Give a revision. Raises `NotFound` with what there is."""
        if (service, number) not in self.revisions:
            there = ", ".join(str(one.number) for one in self.revisions_of(service)) or "none"
            raise NotFound(f"{service!r} has no revision {number}", remedy=f"revisions kept: {there}")
        return self.revisions[service, number]

    def serving(self, service: str) -> RevisionRecord | None:
        """Give the revision that serves; None before the first roll-out succeeded."""
        record = self.services.get(service)
        return self.revisions.get((service, record.revision)) if record else None

    def revisions_of(self, service: str) -> list[RevisionRecord]:
        """List a service's revisions, oldest first."""
        mine = (one for (name, _), one in self.revisions.items() if name == service)
        return sorted(mine, key=lambda one: one.number)

    def before(self, service: str) -> RevisionRecord:
        """Give the newest revision that served before the present one. Raises `NotFound`."""
        past = [one for one in self.revisions_of(service) if one.outcome == "superseded"]
        if not past:
            raise NotFound(f"{service!r} has no earlier revision", remedy="`engine show` lists them")
        return past[-1]

    def grants_of(self, service: str, revision: int | None = None) -> list[GrantRecord]:
        """List a service's replicas-to-be, of one revision or of all."""
        mine = (one for one in self.grants.values() if one.service == service)
        return sorted((one for one in mine if revision in (None, one.revision)), key=lambda one: one.replica)

    def wanted_grants(self, service: str, revision: int) -> list[GrantRecord]:
        """List those that are not on their way out."""
        return [one for one in self.grants_of(service, revision) if not one.draining]

    def operation(self, operation_id: str) -> OperationRecord:
        """Give an operation. Raises `NotFound`."""
        if operation_id not in self.operations:
            raise NotFound(
                f"there is no operation {operation_id!r}", remedy="`engine show NAME` names the latest"
            )
        return self.operations[operation_id]

    def latest_operation(self, service: str) -> Operation | None:
        """Give the newest operation of a service, running or not."""
        mine = [one.operation for one in self.operations.values() if one.operation.service == service]
        return max(mine, key=lambda one: (not one.finished, one.started_at), default=None)

    def running(self, service: str) -> OperationRecord | None:
        """Give the operation that holds a service."""
        mine = (one for one in self.operations.values() if one.operation.service == service)
        return next((one for one in mine if not one.operation.finished), None)

    def scaling_of(self, service: str) -> tuple[ScalingRecord, ...]:
        """List scaling decisions, oldest first."""
        return tuple(self._scaling.get(service, ()))

    # --- writing ----------------------------------------------------------------------------

    async def save(self, *records: Record) -> None:
        """Keep all records or none."""
        await self.replace(save=records)

    async def remove(self, *records: Record) -> None:
        """Forget all records or none."""
        await self.replace(remove=records)

    async def replace(self, *, save: Iterable[Record] = (), remove: Iterable[Record] = ()) -> None:
        """Keep some and forget others, in one transaction."""
        kept, gone = tuple(save), tuple(remove)
        before = [(one, self._get(one)) for one in (*gone, *kept)]
        for one in gone:
            self._put(one, None)
        for one in kept:
            self._put(one, one)
        self.changed.beat()
        try:
            await self._store.replace(save=kept, remove=gone)
        except ModelyardError:
            # undo only what nobody has changed since
            for one, old in reversed(before):
                if self._get(one) in (one, None):
                    self._put(one, old)
            raise

    async def change_service(self, name: str, **changes: object) -> None:
        """Change fields of a service, whatever else changes it meanwhile; a deleted one stays deleted."""
        if name in self.services:
            await self.save(attrs.evolve(self.services[name], **changes))  # type: ignore[arg-type]  # names are the caller's

    async def forget_service(self, name: str) -> None:
        """Forget everything of a service but its operations."""
        await self._store.forget_service(name)
        self.services.pop(name, None)
        self._scaling.pop(name, None)
        for revision in self.revisions_of(name):
            del self.revisions[name, revision.number]
        for grant in self.grants_of(name):
            del self.grants[grant.replica]
        self.changed.beat()

    async def add_scaling(self, service: str, record: ScalingRecord) -> None:
        """Append a scaling decision."""
        self._scaling.setdefault(service, deque(maxlen=SCALING_KEPT)).append(record)
        await self._store.add_scaling(service, record)

    def _get(self, record: Record) -> Record | None:
        match record:
            case ServiceRecord():
                return self.services.get(record.name)
            case RevisionRecord():
                return self.revisions.get((record.service, record.number))
            case OperationRecord():
                return self.operations.get(record.operation.id)
            case GrantRecord():
                return self.grants.get(record.replica)

    def _put(self, place: Record, value: Record | None) -> None:
        if value is None:
            self._drop(place)
            return
        match value:
            case ServiceRecord():
                self.services[value.name] = value
            case RevisionRecord():
                self.revisions[value.service, value.number] = value
            case OperationRecord():
                self.operations[value.operation.id] = value
            case GrantRecord():
                self.grants[value.replica] = value

    def _drop(self, place: Record) -> None:
        match place:
            case ServiceRecord():
                self.services.pop(place.name, None)
            case RevisionRecord():
                self.revisions.pop((place.service, place.number), None)
            case OperationRecord():
                self.operations.pop(place.operation.id, None)
            case GrantRecord():
                self.grants.pop(place.replica, None)


def recent_keys(history: Iterable[RevisionRecord]) -> tuple[str, ...]:
    """Give the keys of environments that revisions have, the newest first."""
    newest = sorted(history, key=lambda one: -one.created_at)
    return tuple(dict.fromkeys(one.environment_key for one in newest if one.environment_key))
