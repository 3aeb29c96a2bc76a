"""Folders for work in progress: gone when the work ends, and swept by the next when its process was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from modelyard.processes.files import disk_errors


@contextlib.contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """Give an empty folder `<prefix>-...` below `parent`, which is made where it is missing.

    Whoever lives holds a lock on the folder itself, so that what a killed process left can be told and removed.
    """
    with disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent, prefix)
        folder, handle = _make(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _make(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=f"{prefix}-"))
        handle = _lock(folder)
        if handle is not None and folder.exists():
            return folder, handle
        if handle is not None:  # another's sweep came between making and locking
            os.close(handle)


def _sweep(parent: Path, prefix: str) -> None:
    for left in parent.glob(f"{prefix}-*"):
        if (handle := _lock(left)) is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(handle)


def _lock(folder: Path) -> int | None:
    """Lock a folder; None = somebody holds it, or it is gone."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
