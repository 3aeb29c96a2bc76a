"""What pyvoy imports: the application of the replica whose contract the environment names.

Puts the process in order before any of the user's code sees it.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from modelyard_runtime.contract import StartContract, read_contract
from modelyard_runtime.pairing import ADMIN_FILE
from modelyard_runtime.server.app import Application
from modelyard_runtime.server.launch import (
    CONTRACT_VARIABLE,
    INTERPRETER_VARIABLE,
    LOADER_VARIABLES,
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


def _settle(contract: StartContract) -> None:
    sys.setswitchinterval(_SWITCH_S)
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
