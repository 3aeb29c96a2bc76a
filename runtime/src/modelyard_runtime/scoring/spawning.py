"""Starting a worker process, and saying how one ended. What it inherits: two sockets, stdout and stderr."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from modelyard_runtime import worker
from modelyard_runtime.causes import CauseClass, killed_by
from modelyard_runtime.contract import StartContract
from modelyard_runtime.pairing import LOADER_VARIABLES

PROGRAM = str(Path(worker.__file__).parent)


class Child(NamedTuple):
    """A worker process and the front's ends of its two sockets."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    handles: socket.socket


def spawn(contract: StartContract) -> Child:
    """Start a worker process in a group of its own. Raises OSError."""
    with contextlib.ExitStack() as undo:
        channel, its_channel = (undo.enter_context(end) for end in socket.socketpair())
        handles, its_handles = (undo.enter_context(end) for end in socket.socketpair())
        numbers = (its_channel.fileno(), its_handles.fileno())
        process = subprocess.Popen(
            [interpreter(contract), PROGRAM, *map(str, numbers), str(os.getpid())],
            cwd=contract.code_dir,
            env=environment(dict(os.environ), contract),
            stdin=subprocess.DEVNULL,
            pass_fds=numbers,
            process_group=0,
        )
        channel.setblocking(False)
        handles.setblocking(False)
        undo.pop_all()
        its_channel.close()
        its_handles.close()
    return Child(process, channel, handles)


def interpreter(contract: StartContract) -> str:
    """Return the Python that runs the script."""
    return contract.worker_python or sys.executable


def environment(own: dict[str, str], contract: StartContract) -> dict[str, str]:
    """Return what the script sees: the front's clean environment, its own interpreter first, its variables."""
    values = {name: value for name, value in own.items() if name not in LOADER_VARIABLES}
    values["PATH"] = ":".join([str(Path(interpreter(contract)).parent), own.get("PATH", "/usr/bin:/bin")])
    if contract.model_dir:
        values["AZUREML_MODEL_DIR"] = contract.model_dir
    return {**values, "PYTHONUNBUFFERED": "1", **contract.variables}


def kill_group(pid: int) -> None:
    """Kill a worker and every process it started that stayed in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def in_words(status: int) -> str:
    """Say how a worker process ended: a sentence without its subject."""
    return f"left with exit status {status}" if status >= 0 else killed_by(status)


def remedy_for(status: int) -> str:
    """Say what to look for after an end that nobody asked for."""
    if status == -signal.SIGKILL:
        return "the system kills what uses too much memory: compare the model's need with its limit"
    if status < 0:
        return "native code crashed: the stack is in the log; look for the library it ends in"
    return "something called exit: raise an exception instead, so that the request gets an answer"


def exit_code_for(status: int) -> CauseClass:
    """Return the cause class of a worker that died before it could serve."""
    if status >= 0:
        return CauseClass.INIT_EXITED
    return CauseClass.OUT_OF_MEMORY if status == -signal.SIGKILL else CauseClass.PROCESS_DIED
