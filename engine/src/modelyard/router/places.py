"""Where a router lives, its log, and how its parent is started there."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import attrs

from modelyard.processes import ProcessRef, spawn_detached
from modelyard.router.envoys import clean_environment

_LOG_MAX_BYTES = 16_000_000
_LOG_FILES = 4


@attrs.frozen
class Places:
    """Where a router lives: sockets, what survives a reboot, its log, and the controller's socket."""

    run: Path
    state: Path
    log: Path
    upstream: Path


def rotate_log(log: Path, *, max_bytes: int = _LOG_MAX_BYTES, files: int = _LOG_FILES) -> None:
    """Keep a log short by copying it away and cutting it: its writers hold it open and need not know."""
    try:
        if log.stat().st_size <= max_bytes:
            return
    except FileNotFoundError:
        return
    for number in range(files - 1, 1, -1):
        older = log.with_name(f"{log.name}.{number - 1}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    os.truncate(log, 0)


def spawn_parent(places: Places) -> ProcessRef:
    """Start a parent in a session of its own."""
    folders = [str(places.run), "--state", str(places.state), "--log", str(places.log)]
    argv = [sys.executable, "-m", "modelyard.router", *folders, "--upstream", str(places.upstream)]
    environment = clean_environment(os.environ, also=("PYTHONPATH", "LD_LIBRARY_PATH"))
    return spawn_detached(argv, cwd=places.run, env=environment, log=places.log)
