"""What pyvoy imports: the application of the replica whose contract the environment names.

Puts the process in order before any of the user's code sees it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path

from modelyard_runtime.contract import StartContract, read_contract
from modelyard_runtime.pairing import ADMIN_FILE, LOADER_VARIABLES
from modelyard_runtime.server.app import Application
from modelyard_runtime.server.launch import (
    CONTRACT_VARIABLE,
    INTERPRETER_VARIABLE,
    OWN_VARIABLES,
    PARENT_VARIABLE,
    die_with,
    parent_of,
)
from modelyard_runtime.server.news import News
from modelyard_runtime.server.service import Service


def create() -> Application:
    """Build the application from the process's environment."""
    parent = parent_of(os.environ[PARENT_VARIABLE])
    die_with(parent)
    os.set_inheritable(parent.ear, False)  # nothing that a script starts may hold it
    contract = read_contract(Path(os.environ[CONTRACT_VARIABLE]))
    _settle(contract)
    return Application(Service(contract, News(Path(contract.run_dir) / ADMIN_FILE, ear=parent.ear)))


_SWITCH_S = 0.001
"""A script that never lets go of the interpreter gives it up this often: health must answer beside it."""


def _let_threads_finish() -> None:
    """Have a thread that is woken wait for its turn rather than interrupt the one that woke it.

    A request passes five threads that take turns at one interpreter: one that is run the moment it is woken
    finds the interpreter taken and sleeps again. In turns, each finds the work of several requests. All
    threads and processes started from here on inherit it; a core that idles still takes them at once.
    """
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):  # a sandbox may forbid it: it is no more than slower
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _settle(contract: StartContract) -> None:
    sys.setswitchinterval(_SWITCH_S)
    _let_threads_finish()
    sys.executable = os.environ[INTERPRETER_VARIABLE]
    for name in (*LOADER_VARIABLES, *OWN_VARIABLES):
        os.environ.pop(name, None)
        if name in contract.variables:
            os.environ[name] = contract.variables[name]
    os.chdir(contract.code_dir)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("modelyard_runtime")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


app = create()
