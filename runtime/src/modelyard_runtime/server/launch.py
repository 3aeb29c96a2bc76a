"""How a server starts: the Envoy that becomes Python, its configuration, what its environment must say.

The parent prepares it and the child, once it is Python, undoes what was only for the loader. Standard library
only and quick to import: every start waits for it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import modelyard_runtime
from modelyard_runtime.causes import CauseClass, StartFailure
from modelyard_runtime.contract import StartContract
from modelyard_runtime.server.envoy import binary, configuration
from modelyard_runtime.server.libpython import LibpythonMissing, find_libpython

CONTRACT_VARIABLE = "MODELYARD_START_FILE"
INTERPRETER_VARIABLE = "MODELYARD_INTERPRETER"
PARENT_VARIABLE = "MODELYARD_PARENT"
"""The parent's pid, and the descriptor on which it waits for news: `1234:5`."""
OWN_VARIABLES = (CONTRACT_VARIABLE, INTERPRETER_VARIABLE, PARENT_VARIABLE)
_PRELOAD = "LD_PRELOAD" if sys.platform == "linux" else "DYLD_INSERT_LIBRARIES"
_PR_SET_PDEATHSIG = 1


class CannotLaunch(Exception):
    """A machine or a contract does not let a server start; `failure` is what to tell."""

    def __init__(self, failure: StartFailure) -> None:
        super().__init__(failure.cause)
        self.failure = failure


class Parent(NamedTuple):
    """Who starts a server, and where it hears from it: any byte means that there may be news."""

    pid: int
    ear: int


def command(contract: StartContract) -> list[str]:
    """Write Envoy's configuration and return how to start it. Raises `CannotLaunch`."""
    config = Path(contract.run_dir) / "envoy.json"
    try:
        argv = [binary(), "--config-path", str(config)]
        config.write_text(json.dumps(configuration(contract)), encoding="utf-8")
    except ImportError as error:
        remedy = "install modelyard-runtime with its extra: pip install 'modelyard-runtime[serve]'"
        raise CannotLaunch(StartFailure(str(error), remedy, CauseClass.CANNOT_START)) from error
    return [*argv, "--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]


def environment(own: Mapping[str, str], contract_file: Path, parent: Parent) -> dict[str, str]:
    """Return `own` with what a server needs to become this Python. Raises `CannotLaunch`."""
    try:
        libpython = find_libpython()
    except LibpythonMissing as error:
        raise CannotLaunch(StartFailure(str(error), error.remedy, CauseClass.CANNOT_START)) from error
    return {
        **own,
        _PRELOAD: ":".join(filter(None, (libpython, own.get(_PRELOAD)))),
        "PYTHONHOME": f"{sys.prefix}:{sys.exec_prefix}",
        "PYTHONPATH": ":".join([*module_folders(sys.path), *filter(None, [own.get("PYTHONPATH")])]),
        "PYTHONUNBUFFERED": "1",
        CONTRACT_VARIABLE: str(contract_file),
        INTERPRETER_VARIABLE: sys.executable,
        PARENT_VARIABLE: f"{parent.pid}:{parent.ear}",
    }


def module_folders(
    path: Sequence[str], *, safe: bool = sys.flags.safe_path, foreign: Sequence[str] | None = None
) -> list[str]:
    """Return an interpreter's path without the program's own folder and without what a shell has added to it.

    This package stays importable, however it was found.
    """
    added = _foreign() if foreign is None else foreign
    installed = [folder for folder in (path if safe else path[1:]) if folder and folder not in added]
    ours = str(Path(modelyard_runtime.__file__).parents[1])
    return installed if ours in installed else [*installed, ours]


def _foreign() -> list[str]:
    """Return what PYTHONPATH and a user's own site-packages bring: the server's packages are not theirs to change."""
    site = sys.modules.get("site")
    user = [str(getattr(site, "USER_SITE", None))] if getattr(site, "ENABLE_USER_SITE", False) else []
    return [*os.environ.get("PYTHONPATH", "").split(":"), *user]


def parent_of(value: str) -> Parent:
    """Read `PARENT_VARIABLE`."""
    pid, _, ear = value.partition(":")
    return Parent(int(pid), int(ear))


def die_with(parent: Parent) -> None:
    """Have the kernel kill this process when its parent dies (Linux); at once when it is dead already."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent.pid:
        os.kill(os.getpid(), signal.SIGKILL)
