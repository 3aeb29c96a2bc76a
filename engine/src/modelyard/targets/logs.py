"""Read a replica's log: the last lines over rotated files, then what comes, across rotation."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from modelyard.targets.replicas import service_of

LOG_FILE = "replica.log"
PARENT_LOG = "parent.log"
"""What the parent itself says: only words about its own end."""
KEPT_PER_SERVICE = 20
_POLL_SECONDS = 0.1
_LAST_BYTES = 4_096


def tail(folder: Path, lines: int, *, end: int | None = None) -> list[str]:
    """Return the last lines of a log and the files it was rotated into; `end` cuts the newest file."""
    last: deque[str] = deque(maxlen=max(lines, 0))
    for file in reversed(_rotated(folder)):
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            continue  # rotated away while we read
        if file.name == LOG_FILE:
            content = content[:end]
        last.extend(_text(line) for line in content.removesuffix(b"\n").split(b"\n") if content)
    return list(last)


def last_line(file: Path) -> str:
    """Return the last line that is not blank, empty if there is none."""
    try:
        with file.open("rb") as log:
            log.seek(max(os.fstat(log.fileno()).st_size - _LAST_BYTES, 0))
            lines = log.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


async def follow_log(folder: Path, *, lines: int, over: Callable[[], bool]) -> AsyncIterator[str]:
    """Yield the last lines, then each new one, until `over` says that none will come."""
    file = folder / LOG_FILE
    log = _open(file)
    if log is not None:
        log.seek(0, os.SEEK_END)
        for line in await asyncio.to_thread(tail, folder, lines, end=log.tell()):
            yield line
    pending = b""
    try:
        while True:
            ending = over()  # asked before reading: what was written until now is still read
            moved = log is None or _moved(log, file)  # before reading, lest the old file's end be lost
            content = log.readall() if log is not None else b""
            *whole, pending = (pending + content).split(b"\n")
            for new in whole:
                yield _text(new)
            if moved:
                log = _next(log, file)
                if log is not None:
                    continue
            if ending:
                break
            await asyncio.sleep(_POLL_SECONDS)
        if pending:
            yield _text(pending)
    finally:
        if log is not None:
            log.close()


def prune(logs: Path, replica: str, living: frozenset[str]) -> None:
    """Keep the newest logs of the replica's service; those of living replicas are never touched."""
    service, _ = service_of(replica)
    ended = [
        folder
        for folder in logs.iterdir()
        if service_of(folder.name)[0] == service and folder.name not in living
    ]
    ended.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in ended[KEPT_PER_SERVICE:]:
        shutil.rmtree(folder, ignore_errors=True)


def _rotated(folder: Path) -> list[Path]:
    """List the log's files, newest first: `replica.log`, `replica.log.1`, ..."""
    older = [file for file in folder.glob(f"{LOG_FILE}.*") if file.suffix[1:].isdigit()]
    return [folder / LOG_FILE, *sorted(older, key=lambda file: int(file.suffix[1:]))]


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").rstrip("\r")


def _open(file: Path) -> io.FileIO | None:
    try:
        return io.FileIO(file)
    except FileNotFoundError:
        return None


def _moved(log: io.FileIO, file: Path) -> bool:
    try:
        return not os.path.samestat(os.fstat(log.fileno()), file.stat())
    except FileNotFoundError:
        return False  # between rotation and the next line


def _next(log: io.FileIO | None, file: Path) -> io.FileIO | None:
    if log is not None:
        log.close()
    return _open(file)
