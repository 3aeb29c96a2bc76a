"""The server process: started clean, told apart by its last words, ended for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from pathlib import Path

from modelyard_runtime.causes import CauseClass, StartFailure, class_of, killed_by
from modelyard_runtime.contract import SOCKET_FILE, StartContract
from modelyard_runtime.pairing import ADMIN_FILE, find_failure, forget_failure
from modelyard_runtime.proc import resident_bytes
from modelyard_runtime.replica.abandoned import end_what_runs_for
from modelyard_runtime.replica.lifecycle import Failed
from modelyard_runtime.replica.limit import MemoryLimit
from modelyard_runtime.replica.logs import Log
from modelyard_runtime.replica.memory import own_group, spell
from modelyard_runtime.replica.ports import why_unusable
from modelyard_runtime.replica.variables import server_environment
from modelyard_runtime.server.launch import CannotLaunch, Parent, command, environment

STOP_GRACE_S = 5.0
"""Envoy ends within milliseconds once nothing runs; after this it is killed."""
LAST_WORDS_S = 0.5
"""How long a dead server's output is waited for; a process it left behind may hold the pipe for ever."""


class Server:
    """One replica's server, started as often as it takes; `ear` is the descriptor on which it is heard."""

    def __init__(
        self, contract: StartContract, start_file: Path, log: Log, *, ear: int, contained: bool = False
    ) -> None:
        self._contract = contract
        self._run_dir = Path(contract.run_dir)
        self._start_file = start_file
        self._log = log
        self._ear = ear
        self._process: subprocess.Popen[bytes] | None = None
        self._memory = MemoryLimit(contract, log, container=own_group() if contained else None)
        self._refused: Failed | None = None
        self._copier: threading.Thread | None = None
        self.was_ready = False
        """Set by the supervisor: a server that ends by itself before that did so in `init()`."""

    @property
    def pid(self) -> int:
        """The running server's pid, else 0."""
        return self._process.pid if self._process is not None else 0

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._run_dir / SOCKET_FILE

    def start(self) -> None:
        """Start it; a server that still runs is killed first."""
        self.kill()
        self._clear()
        self.was_ready = False
        self._refused = self._taken()
        if self._refused is not None:
            return
        self._memory.prepare()
        try:
            self._process = self._spawn()
        except CannotLaunch as error:
            self._refused = Failed(
                error.failure.cause, error.failure.remedy, class_of(error.failure.exit_code)
            )
            return
        self._memory.confine(self._process.pid)
        if self._process.stdout is not None:
            self._copier = self._log.follow(self._process.stdout)  # type: ignore[arg-type]  # a pipe is a BinaryIO in all we use

    def _spawn(self) -> subprocess.Popen[bytes]:
        argv = command(self._contract)
        parent = Parent(os.getpid(), self._ear)
        try:
            return subprocess.Popen(
                argv,
                cwd=self._contract.code_dir,
                env=environment(server_environment(self._contract), self._start_file, parent),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(self._ear,),
                process_group=0,
            )
        except OSError as error:
            remedy = "install modelyard-runtime anew, or give back what is missing"
            failure = StartFailure(f"the server cannot be started: {error}", remedy, CauseClass.CANNOT_START)
            raise CannotLaunch(failure) from error

    def death(self) -> Failed | None:
        """Return why it died, once it has; None while it lives or was never started."""
        refused, self._refused = self._refused, None
        if refused is not None or self._process is None or (status := self._process.poll()) is None:
            return refused
        self._gone()
        told = self.complaint(status)
        if told is not None:
            return told
        limit = self._memory.exceeded(status)
        if limit:
            return Failed(
                f"killed: memory limit {spell(limit)} exceeded",
                "raise the memory limit, or make the model smaller",
                CauseClass.OUT_OF_MEMORY,
                status,
            )
        return self._unexplained(status)

    def complaint(self, status: int | None = None) -> Failed | None:
        """Return why `init()` failed, where the server has said so; it may live on."""
        told = find_failure(self._run_dir)
        return Failed(told.cause, told.remedy, class_of(told.exit_code), status) if told is not None else None

    def _unexplained(self, status: int) -> Failed:
        if not self.socket.exists():
            taken = self._taken()
            return taken or Failed(
                f"the server {in_words(status)} before it could listen",
                "the last lines of the log say why",
                CauseClass.CANNOT_START,
                status,
            )
        kind = CauseClass.INIT_EXITED if status >= 0 and not self.was_ready else CauseClass.PROCESS_DIED
        return Failed(f"the server {in_words(status)}", "the last lines of the log may say why", kind, status)

    def _taken(self) -> Failed | None:
        host, port = self._contract.host, self._contract.port
        reason = why_unusable(host, port) if port else ""
        if not reason:
            return None
        remedy = "stop what listens there, or choose another port"
        return Failed(f"cannot listen on {host} port {port}: {reason}", remedy, CauseClass.PORT_IN_USE)

    def over_limit(self, resident: int) -> bool:
        """Kill it for its memory where no control group does; True when that was just done."""
        if self._process is None or not self._memory.is_over(resident):
            return False
        self._signal(signal.SIGKILL)
        return True

    def resident(self) -> int:
        """Return what it holds in memory, its children included."""
        return resident_bytes(self.pid) if self.pid else 0

    def stop(self) -> int | None:
        """Ask it to end, kill it if it does not; returns its exit status."""
        if self._process is None:
            return None
        self._signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            status = self._process.wait()
        self._signal(signal.SIGKILL)
        self._gone()
        return status

    def kill(self) -> None:
        """End it and its children now."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._gone()

    def remove_traces(self) -> None:
        """Remove sockets, the memory group, the last complaint."""
        self._clear()
        self._memory.remove()

    def _gone(self) -> None:
        self._process = None
        end_what_runs_for(self._contract.run_dir)
        if self._copier is not None:
            self._copier.join(LAST_WORDS_S)

    def _clear(self) -> None:
        forget_failure(self._run_dir)
        for name in (SOCKET_FILE, ADMIN_FILE):
            (self._run_dir / name).unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def in_words(status: int) -> str:
    """Say how a process ended."""
    return f"exited with code {status}" if status >= 0 else killed_by(status)
