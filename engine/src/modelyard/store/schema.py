"""The tables, and how an older store becomes a newer one: one script a version, each in one transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from modelyard.api import UserError

MIGRATIONS = (
    """
    CREATE TABLE services (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE revisions (
        service TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (service, number)
    ) STRICT;
    CREATE TABLE operations (
        id TEXT PRIMARY KEY, service TEXT NOT NULL, running INTEGER NOT NULL, started_at REAL NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX one_running_operation_a_service ON operations (service) WHERE running = 1;
    CREATE TABLE grants (replica TEXT PRIMARY KEY, service TEXT NOT NULL, body TEXT NOT NULL) STRICT;
    CREATE TABLE scaling (
        id INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL, body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX scaling_by_service ON scaling (service, id);
    """,
)
"""Script n brings version n to n + 1. Never edit one that was released: append."""

VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the store to this release's version; a newer store is refused, untouched."""
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        raise UserError(
            f"the store has version {found}, this release knows up to {VERSION}",
            place=str(path),
            remedy="use the newer release of modelyard that wrote it",
        )
    for number in range(found, VERSION):
        script = f"BEGIN IMMEDIATE; {MIGRATIONS[number]}; PRAGMA user_version = {number + 1}; COMMIT;"
        connection.executescript(script)
