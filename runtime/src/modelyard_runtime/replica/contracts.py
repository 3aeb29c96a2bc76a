"""A replica that was given its contract: in a file on this machine, or in the variable of a container."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from modelyard_runtime.causes import EXIT_USAGE, CauseClass
from modelyard_runtime.contract import (
    START_VARIABLE,
    ContractError,
    StartContract,
    decode_contract,
    read_contract,
)
from modelyard_runtime.replica.lifecycle import exit_status
from modelyard_runtime.replica.logs import Log, RotatingLog
from modelyard_runtime.replica.places import CannotBegin, settle
from modelyard_runtime.replica.supervisor import Supervisor


def run_file(name: str) -> int:
    """Live as the file says, and write to files; returns the exit code."""
    path = Path(name).absolute()
    try:
        contract = read_contract(path)
        listener = _listener(contract)
    except (ContractError, CannotBegin) as error:
        return _refuse(error)
    with contextlib.suppress(PermissionError):  # already a session's leader
        os.setsid()
    supervisor = Supervisor(contract, path, _log(contract))
    _answer(listener, supervisor)
    supervisor.run()
    return 0


def run_environment(early: Sequence[int]) -> int:
    """Live as the variable says, in a container; returns the exit code: how it ended is told by nothing else."""
    try:
        contract = decode_contract(_taken())
        start_file = settle(contract, os.environ)
        listener = _listener(contract)
    except (ContractError, CannotBegin) as error:
        return _refuse(error)
    supervisor = Supervisor(contract, start_file, _log(contract), contained=True, early=early)
    _answer(listener, supervisor)
    return exit_status(supervisor.run())


def _taken() -> str:
    text = os.environ.pop(START_VARIABLE, "")
    if not text:
        raise ContractError(f"{START_VARIABLE} is not set: it holds the start contract as JSON")
    return text


def _listener(contract: StartContract) -> socket.socket | None:
    """Take the status port before anything runs. Raises `CannotBegin`."""
    if not contract.status_port:
        return None
    from modelyard_runtime.replica.status_port import listen

    try:
        return listen(contract.host, contract.status_port)
    except OSError as error:
        where = f"{contract.host} port {contract.status_port}"
        raise CannotBegin(
            f"cannot listen on {where} for the replica's status: {error.strerror or error}; "
            "stop what listens there, or choose another status_port",
            CauseClass.PORT_IN_USE,
        ) from error


def _answer(listener: socket.socket | None, supervisor: Supervisor) -> None:
    if listener is not None:
        from modelyard_runtime.replica.status_port import StatusPort

        StatusPort(listener, supervisor.status).start()


def _log(contract: StartContract) -> Log:
    if contract.log_dir:
        return RotatingLog(Path(contract.log_dir), max_bytes=contract.log_max_bytes, files=contract.log_files)
    from modelyard_runtime.replica.output_log import OutputLog

    return OutputLog()


def _refuse(error: ContractError | CannotBegin) -> int:
    sys.stderr.write(f"modelyard-replica: {error}\n")
    return int(error.kind) if isinstance(error, CannotBegin) else EXIT_USAGE
