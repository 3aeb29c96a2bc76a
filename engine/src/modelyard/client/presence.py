"""The controller's pid file: written once it answers, removed when all it was asked to stop has ended."""

from __future__ import annotations

import json
import time
from pathlib import Path

from modelyard.api import Unavailable
from modelyard.processes import Home, ProcessRef, alive, write_atomic

_PID_FILE = "controller.pid"
_POLL_SECONDS = 0.05


def announce(home: Home, process: ProcessRef) -> None:
    """Say that this process is the controller of `home`."""
    content = {"pid": process.pid, "start_ticks": process.start_ticks}
    write_atomic(_path(home), json.dumps(content).encode())


def withdraw(home: Home) -> None:
    """Say that the controller has ended, and everything with it that was to end."""
    _path(home).unlink(missing_ok=True)


def is_present(home: Home) -> bool:
    """Say whether a controller of `home` lives; a file left by one that was killed does not count."""
    try:
        raw = json.loads(_path(home).read_bytes())
        return alive(ProcessRef(pid=int(raw["pid"]), start_ticks=int(raw["start_ticks"])))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def wait_until_gone(home: Home, *, timeout_seconds: float) -> None:
    """Return once no controller of `home` lives. Raises `Unavailable` when that takes too long."""
    deadline = time.monotonic() + timeout_seconds
    while is_present(home):
        if time.monotonic() > deadline:
            raise Unavailable(
                f"the engine is still stopping after {timeout_seconds:g} s",
                place=str(home.logs / "controller.log"),
                remedy="run `engine down` again, or look into the log",
            )
        time.sleep(_POLL_SECONDS)


def _path(home: Home) -> Path:
    return home.run / _PID_FILE
