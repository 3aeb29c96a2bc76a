"""Open the SQLite file: look for damage first, keep a backup of every sound start, explain what fails."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from modelyard.api import StoreDamaged, SystemError_
from modelyard.processes import free_bytes
from modelyard.store.schema import migrate

_BUSY_SECONDS = 5.0


def backup_file(path: Path) -> Path:
    """Name the backup of a store."""
    return path.with_name(f"{path.name}.bak")


def open_database(path: Path) -> sqlite3.Connection:
    """Open, check, migrate and back up. Raises `StoreDamaged`, and leaves a damaged file as it is."""
    with sqlite_errors(path):
        _create_private(path)
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _check(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            migrate(connection, path)
            _back_up(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextlib.contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, with the path and the remedy."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise SystemError_(
            f"cannot write the store: {error} ({free_bytes(path)} bytes are free)",
            place=str(path),
            remedy=_remedy_for(error),
        ) from error
    except sqlite3.IntegrityError:
        raise
    except (sqlite3.DatabaseError, ValueError) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, reason: str) -> StoreDamaged:
    """Describe a damaged store and the way back, which deletes nothing."""
    aside = path.with_name(f"{path.name}.damaged")
    move = f"mv {path} {aside} && rm -f {path}-wal {path}-shm"
    backup = backup_file(path)
    if backup.exists():
        made = datetime.fromtimestamp(backup.stat().st_mtime, tz=UTC).isoformat(timespec="seconds")
        remedy = f"go back to the backup of {made}: {move} && cp {backup} {path}, then `engine up`"
    else:
        remedy = f"there is no backup: {move}, then `engine up` and deploy the services again"
    return StoreDamaged(
        f"the store is damaged: {reason}; what runs keeps serving", place=str(path), remedy=remedy
    )


def _create_private(path: Path) -> None:
    # specs may name secrets in their variables: nobody else reads them
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    path.chmod(0o600)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    found = [row[0] for row in connection.execute("PRAGMA integrity_check(1)")]
    if found != ["ok"]:
        raise damaged(path, "; ".join(found))


def _back_up(connection: sqlite3.Connection, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.bak.new")
    temporary.unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with contextlib.closing(sqlite3.connect(temporary)) as copy:
        connection.backup(copy)
    temporary.replace(backup_file(path))


def _remedy_for(error: sqlite3.OperationalError) -> str:
    if "full" in str(error):
        return "free some space, then run the command again"
    if "locked" in str(error):
        return "another engine uses this store: stop it, or set MODELYARD_HOME"
    return "give this user the right to write there, or set MODELYARD_HOME"
