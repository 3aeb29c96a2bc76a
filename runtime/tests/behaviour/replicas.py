"""Real replicas for tests: parent and server as processes, in short private folders, on unix sockets."""

from __future__ import annotations

import dataclasses
import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelyard_runtime.contract import (
    SOCKET_FILE,
    STATE_FILE,
    STATUS_PATH,
    ContractError,
    ReplicaState,
    StartContract,
    read_state,
    write_contract,
)

START_S = 40.0
"""Long, because other tests share the machine."""
ANSWER_S = 60.0


class UnixConnection(http.client.HTTPConnection):
    """HTTP/1.1 to a unix socket."""

    def __init__(self, path: Path, *, timeout_s: float = ANSWER_S) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclasses.dataclass
class Reply:
    """A whole answer; header names in lower case, repeats kept."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return the first value of a header, "" where there is none."""
        return next((value for found, value in self.headers if found == name), "")


@dataclasses.dataclass
class Replica:
    """A replica that runs."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "run" / SOCKET_FILE

    def log(self) -> str:
        """Return what the script, the server and the parent printed."""
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("log/replica.log*"))

    def state(self) -> ReplicaState | None:
        """Return the state its parent last wrote."""
        try:
            return read_state(self.folder / "run" / STATE_FILE)
        except ContractError:
            return None

    def connection(self) -> UnixConnection:
        """Open a connection of its own."""
        return UnixConnection(self.socket)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request on a fresh connection."""
        connection = self.connection()
        try:
            return asked(connection, method, path, body, headers)
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """Return what it says of itself."""
        told: dict[str, Any] = json.loads(self.ask("GET", STATUS_PATH).body)
        return told

    def until(self, true: Callable[[], object], *, within_s: float = 20.0) -> None:
        """Poll until something holds. Fails with the log where it never does."""
        deadline = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < deadline, f"it did not come to that\n{self.state()}\n{self.log()}"
            time.sleep(0.01)

    def ready(self) -> Replica:
        """Wait until its parent says ready."""
        deadline = time.monotonic() + START_S
        while (state := self.state()) is None or state.phase != "ready":
            assert self.process.poll() is None, f"the parent ended\n{self.log()}"
            assert state is None or state.phase != "failed", f"{state}\n{self.log()}"
            assert time.monotonic() < deadline, f"{state}\n{self.log()}"
            time.sleep(0.02)
        return self

    def resident_bytes(self) -> int:
        """Return the anonymous memory of the server and all below it: file pages depend on who else maps them."""
        state = self.state()
        return sum(_resident(pid) for pid in tree(state.server_pid)) if state is not None else 0

    def end(self) -> None:
        """Stop it at once."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


def by_envoy(one: Replica) -> bool:
    """Whether Envoy has heard that the replica is ready."""
    return re.search(rb'"modelyard.ready":\s*{[^}]*"100"', admin(one)) is not None


def admin(one: Replica) -> bytes:
    """Return what Envoy says of its runtime layers."""
    connection = UnixConnection(one.socket.with_name("admin.sock"))
    try:
        return asked(connection, "GET", "/runtime").body
    finally:
        connection.close()


def asked(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send one request on a connection that stays open."""
    connection.request(method, path, body or None, dict(headers or {}))
    answer = connection.getresponse()
    content = answer.read()
    return Reply(answer.status, tuple((name.lower(), value) for name, value in answer.getheaders()), content)


@contextmanager
def replica(script: str, *, files: Mapping[str, str] | None = None, **fields: Any) -> Iterator[Replica]:
    """Start a replica of a script as every target does, through its parent; `fields` are the contract's."""
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    try:
        process = _started(folder, {**(files or {}), "score.py": script}, fields)
        running = Replica(folder, process)
        try:
            yield running
        finally:
            running.end()
    finally:
        shutil.rmtree(folder)


def _started(folder: Path, files: Mapping[str, str], fields: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    for name in ("app", "run", "log"):
        (folder / name).mkdir(mode=0o700)
    for name, text in files.items():
        (folder / "app" / name).write_text(text)
    named = {"service": "digits", "revision": 3, "replica": f"digits-r3-{folder.name[3:].lower()}"}
    places = {"run_dir": str(folder / "run"), "log_dir": str(folder / "log")}
    code = {"code_dir": str(folder / "app"), "app_root": str(folder / "app"), "entry": "score.py"}
    contract = StartContract(**{**named, **places, **code, "backoff_initial_s": 0.1, **fields})
    start = folder / "run" / "start.json"
    write_contract(contract, start)
    argv = [sys.executable, "-m", "modelyard_runtime.replica", str(start)]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def tree(pid: int) -> list[int]:
    """Return a process and all below it (Linux)."""
    found = [pid]
    for one in found:
        try:
            children = Path(f"/proc/{one}/task").glob("*/children")
            found += [int(child) for path in children for child in path.read_text().split()]
        except OSError:
            continue
    return found


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))


def alive(pid: int) -> bool:
    """Whether it runs; a zombie that nobody reaps does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
