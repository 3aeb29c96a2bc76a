"""The server process: started clean, told apart by its last words, ended for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from modelyard_runtime.contract import SOCKET_FILE, StartContract
from modelyard_runtime.pairing import ADMIN_FILE, find_failure, forget_failure
from modelyard_runtime.replica.lifecycle import Failed
from modelyard_runtime.replica.logs import RotatingLog
from modelyard_runtime.replica.memory import MemoryGroup, make_group, resident_bytes, spell

STOP_GRACE_S = 5.0
"""Envoy ends within milliseconds once nothing runs; after this it is killed."""
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "USER")
"""What user code may see of the engine's environment; the rest is the service's own variables."""


class Server:
    """One replica's server, started as often as it takes."""

    def __init__(self, contract: StartContract, start_file: Path, log: RotatingLog) -> None:
        self._contract = contract
        self._run_dir = Path(contract.run_dir)
        self._start_file = start_file
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._group: MemoryGroup | None = None
        self._kills = 0
        self._watched_kill = False

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
        if self._contract.memory_limit_bytes:
            self._group = make_group(self._contract.replica, self._contract.memory_limit_bytes)
        self._kills = self._group.kills() if self._group is not None else 0
        self._watched_kill = False
        argv = [sys.executable, "-I", "-m", "modelyard_runtime.server.launch", str(self._start_file)]
        argv += ["--parent", str(os.getpid())]
        if self._group is not None:
            argv += ["--procs", str(self._group.procs)]
        self._process = subprocess.Popen(
            argv,
            cwd=self._contract.code_dir,
            env=clean_environment(os.environ, self._contract.variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        if self._process.stdout is not None:
            self._log.follow(self._process.stdout)  # type: ignore[arg-type]  # a pipe is a BinaryIO in all we use

    def death(self) -> Failed | None:
        """Return why it died, once it has; None while it lives or was never started."""
        if self._process is None or (status := self._process.poll()) is None:
            return None
        self._process = None
        told = find_failure(self._run_dir)
        if told is not None:
            return Failed(*told, exit_status=status)
        if self._watched_kill or (self._group is not None and self._group.kills() > self._kills):
            return Failed(
                f"killed: memory limit {spell(self._contract.memory_limit_bytes)} exceeded",
                "raise resources.limits.memory, or make the model smaller",
                exit_status=status,
            )
        return Failed(
            f"the server {in_words(status)}", "the last lines of replica.log may say why", exit_status=status
        )

    def complaint(self) -> Failed | None:
        """Return why `init()` failed, where the server lives on to say so."""
        told = find_failure(self._run_dir)
        return Failed(*told) if told is not None else None

    def over_limit(self, resident: int) -> bool:
        """Kill it for its memory where no control group does; True when that was just done."""
        limit = self._contract.memory_limit_bytes
        if not limit or self._group is not None or resident <= limit or self._process is None:
            return False
        self._watched_kill = True
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
        self._process = None
        return status

    def kill(self) -> None:
        """End it and its children now."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def remove_traces(self) -> None:
        """Remove sockets, the memory group, the last complaint."""
        self._clear()
        if self._group is not None:
            self._group.remove()

    def _clear(self) -> None:
        forget_failure(self._run_dir)
        for name in (SOCKET_FILE, ADMIN_FILE):
            (self._run_dir / name).unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def clean_environment(own: os._Environ[str] | dict[str, str], variables: dict[str, str]) -> dict[str, str]:
    """Return the environment user code gets: a few neutral names of ours, then the service's variables."""
    kept = {name: own[name] for name in _KEPT if name in own}
    path = ":".join([str(Path(sys.executable).parent), kept.get("PATH", "/usr/bin:/bin")])
    return {**kept, "PATH": path, **variables}


def in_words(status: int) -> str:
    """Say how a process ended."""
    if status >= 0:
        return f"exited with code {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was killed by {name}"
