"""Why a replica could not serve, as classes that a program can tell apart.

A class's number is the exit code of a replica started by hand; its name is `cause_class` in `state.json`.
Parent and server both use them; standard library only, as the parent is. The worker, which may know nothing
of the runtime, has the numbers of its own causes in `worker.explaining` and `worker.failures`.
"""

from __future__ import annotations

import enum
import signal
from typing import NamedTuple

EXIT_USAGE = 2
"""The arguments, or the contract, make no sense."""


class CauseClass(enum.IntEnum):
    """One kind of cause. Numbers never change their meaning."""

    SCRIPT_MISSING = 10
    SCRIPT_SYNTAX = 11
    SCRIPT_IMPORT = 12
    SCRIPT_CONTRACT = 13
    INIT_RAISED = 14
    INIT_EXITED = 15
    INIT_TIMED_OUT = 16
    OUT_OF_MEMORY = 17
    PROCESS_DIED = 18
    CANNOT_START = 19
    PORT_IN_USE = 20
    SAMPLE_FAILED = 21
    UNRESPONSIVE = 22
    REQUESTS_CUT = 23
    REQUIREMENTS_FAILED = 24

    @property
    def label(self) -> str:
        """The name in `state.json`: init-raised."""
        return self.name.lower().replace("_", "-")


class StartFailure(NamedTuple):
    """Why a script cannot serve; `exit_code` is the number of a cause class."""

    cause: str
    remedy: str
    exit_code: int


def class_of(exit_code: int) -> CauseClass | None:
    """Return the class of this number, if there is one."""
    return CauseClass(exit_code) if exit_code in CauseClass._value2member_map_ else None


def killed_by(status: int) -> str:
    """Say which signal ended a process, by its (negative) exit status."""
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was killed by {name}"
