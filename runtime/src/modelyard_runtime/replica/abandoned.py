"""Folders of replicas whose parent was killed: found by a lock that nobody holds any more, and removed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard_runtime.proc import marked
from modelyard_runtime.replica.variables import REPLICA_VARIABLE

LOCK = "alive.lock"
_LOOKS = 10
"""What is being killed may start more meanwhile; whoever is faster than this is left to the system."""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold a folder while its replica lives; the kernel lets go with the process, however it ends."""
    made = folder / f".{LOCK}"
    descriptor = os.open(made, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        made.rename(folder / LOCK)  # nobody ever sees it without its holder
        yield
    finally:
        os.close(descriptor)


def sweep(parent: Path, prefix: str) -> None:
    """Remove this user's folders that nobody holds, and end what still runs for them."""
    for folder in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # somebody else's, held, or just removed
            if _is_ours(folder):
                _remove_if_abandoned(folder)


def end_what_runs_for(run_dir: str) -> None:
    """Kill what a replica's server, its workers or its script started: it has nobody to answer to any more.

    Some of it may be in groups and sessions of its own.
    """
    for _ in range(_LOOKS):
        left = marked(REPLICA_VARIABLE, run_dir)
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not left:
            return


def _is_ours(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _remove_if_abandoned(folder: Path) -> None:
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        end_what_runs_for(str(folder))
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
