"""The store: reads all at start, then writes through, one short transaction in one writer thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

import attrs

from modelyard.api import Conflict, ScalingRecord
from modelyard.store.codec import from_text, to_text
from modelyard.store.opening import damaged, open_database, sqlite_errors
from modelyard.store.records import GrantRecord, OperationRecord, RevisionRecord, ServiceRecord

T = TypeVar("T")
SCALING_KEPT = 500
"""Scaling decisions kept for each service."""
OPERATIONS_KEPT = 200
"""Finished operations kept over all services."""


@attrs.frozen
class Content:
    """All there is in the store."""

    services: tuple[ServiceRecord, ...] = ()
    revisions: tuple[RevisionRecord, ...] = ()
    operations: tuple[OperationRecord, ...] = ()
    grants: tuple[GrantRecord, ...] = ()
    scaling: Mapping[str, tuple[ScalingRecord, ...]] = attrs.field(factory=dict)


Record = ServiceRecord | RevisionRecord | OperationRecord | GrantRecord


class Store:
    """The engine's memory on disk. `save` and `remove` are durable when they return."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create. Raises `StoreDamaged` with the way back, `SystemError_` for a full disk."""
        return cls(path, await asyncio.to_thread(open_database, path))

    async def close(self) -> None:
        """Finish what is being written, fold the log into the file, let go."""
        await self._run(self._connection.close)
        self._writer.shutdown(wait=True)

    async def load(self) -> Content:
        """Read everything."""
        return await self._run(self._load)

    async def save(self, *records: Record) -> None:
        """Write all records or none. Raises `Conflict` when a service's operation already runs."""
        await self._run(lambda: self._write([_upsert(one) for one in records]))

    async def remove(self, *records: Record) -> None:
        """Forget all records or none; absent ones are fine."""
        await self._run(lambda: self._write([_delete(one) for one in records]))

    async def replace(self, *, save: Iterable[Record], remove: Iterable[Record]) -> None:
        """Write some and forget others, in one transaction."""
        changes = [*map(_delete, remove), *map(_upsert, save)]
        await self._run(lambda: self._write(changes))

    async def forget_service(self, name: str) -> None:
        """Remove everything of a service but its operations, in one transaction."""
        tables = (
            ("services", "name"),
            ("revisions", "service"),
            ("grants", "service"),
            ("scaling", "service"),
        )
        changes = [(f"DELETE FROM {table} WHERE {column} = ?", (name,)) for table, column in tables]  # noqa: S608  constants
        await self._run(lambda: self._write(changes))

    async def add_scaling(self, service: str, record: ScalingRecord) -> None:
        """Append a decision; only the newest are kept."""
        insert = ("INSERT INTO scaling (service, body) VALUES (?, ?)", (service, to_text(record)))
        trim = (
            _TRIM_SCALING,
            (service, SCALING_KEPT),
        )
        await self._run(lambda: self._write([insert, trim]))

    async def _run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._guard, function)

    def _guard(self, function: Callable[[], T]) -> T:
        with sqlite_errors(self._path):
            return function()

    def _write(self, changes: Iterable[tuple[str, tuple[object, ...]]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for statement, values in changes:
                self._connection.execute(statement, values)
            self._connection.execute(_TRIM_OPERATIONS, (OPERATIONS_KEPT,))
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.IntegrityError):
                raise Conflict(
                    "another operation runs on this service", remedy="wait for it, or cancel it"
                ) from error
            raise

    def _load(self) -> Content:
        try:
            return Content(
                services=tuple(from_text(text, ServiceRecord) for text in self._bodies("services", "name")),
                revisions=tuple(
                    from_text(text, RevisionRecord) for text in self._bodies("revisions", "service, number")
                ),
                operations=tuple(
                    from_text(text, OperationRecord) for text in self._bodies("operations", "started_at, id")
                ),
                grants=tuple(from_text(text, GrantRecord) for text in self._bodies("grants", "replica")),
                scaling=self._load_scaling(),
            )
        except ValueError as error:
            raise damaged(self._path, str(error)) from error

    def _bodies(self, table: str, order: str) -> list[str]:
        rows = self._connection.execute(f"SELECT body FROM {table} ORDER BY {order}")  # noqa: S608  constants
        return [row[0] for row in rows]

    def _load_scaling(self) -> dict[str, tuple[ScalingRecord, ...]]:
        found: dict[str, list[ScalingRecord]] = {}
        for service, body in self._connection.execute("SELECT service, body FROM scaling ORDER BY id"):
            found.setdefault(service, []).append(from_text(body, ScalingRecord))
        return {service: tuple(records) for service, records in found.items()}


_TRIM_SCALING = (
    "DELETE FROM scaling WHERE service = ?1 AND id NOT IN "
    "(SELECT id FROM scaling WHERE service = ?1 ORDER BY id DESC LIMIT ?2)"
)
_UPSERT_OPERATION = (
    "INSERT INTO operations VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (id) DO UPDATE SET running = excluded.running, body = excluded.body"
)
_TRIM_OPERATIONS = (
    "DELETE FROM operations WHERE running = 0 AND id NOT IN "
    "(SELECT id FROM operations ORDER BY started_at DESC LIMIT ?)"
)


def _upsert(record: Record) -> tuple[str, tuple[object, ...]]:
    body = to_text(record)
    match record:
        case ServiceRecord():
            return "INSERT OR REPLACE INTO services VALUES (?, ?)", (record.name, body)
        case RevisionRecord():
            return "INSERT OR REPLACE INTO revisions VALUES (?, ?, ?)", (record.service, record.number, body)
        case GrantRecord():
            return "INSERT OR REPLACE INTO grants VALUES (?, ?, ?)", (record.replica, record.service, body)
        case OperationRecord():
            one = record.operation
            # not OR REPLACE: that would push out another running operation instead of failing
            values = (one.id, one.service, int(not one.finished), one.started_at, body)
            return _UPSERT_OPERATION, values


def _delete(record: Record) -> tuple[str, tuple[object, ...]]:
    match record:
        case ServiceRecord():
            return "DELETE FROM services WHERE name = ?", (record.name,)
        case RevisionRecord():
            return (
                "DELETE FROM revisions WHERE service = ? AND number = ?",
                (record.service, record.number),
            )
        case GrantRecord():
            return "DELETE FROM grants WHERE replica = ?", (record.replica,)
        case OperationRecord():
            return "DELETE FROM operations WHERE id = ?", (record.operation.id,)
