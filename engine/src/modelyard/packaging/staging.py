"""Build a folder out of sight and move it into place when it is whole.

A staging folder is locked while its builder lives; one whose builder died (kill -9) is swept by the next.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = ".stage-"


@contextlib.contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """Give a fresh folder inside `parent`, removed afterwards unless it was moved away."""
    parent.mkdir(parents=True, exist_ok=True)
    _sweep(parent)
    stage, lock = _locked_stage(parent)
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        os.close(lock)


def move_into_place(stage: Path, final: Path) -> bool:
    """Rename a whole folder to its final name; False when something already stands there."""
    try:
        stage.rename(final)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _locked_stage(parent: Path) -> tuple[Path, int]:
    while True:
        stage = Path(tempfile.mkdtemp(dir=parent, prefix=_PREFIX))
        try:
            stage.chmod(0o755)
            lock = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # a sweeper took it before it was locked
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stage.exists():  # or between opening and locking
            return stage, lock
        os.close(lock)


def _sweep(parent: Path) -> None:
    for stage in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            _remove_if_orphaned(stage)


def _remove_if_orphaned(stage: Path) -> None:
    lock = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(stage, ignore_errors=True)
    finally:
        os.close(lock)
