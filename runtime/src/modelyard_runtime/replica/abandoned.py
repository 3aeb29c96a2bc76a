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


def _is_ours(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _remove_if_abandoned(folder: Path) -> None:
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for pid in marked(REPLICA_VARIABLE, str(folder)):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
