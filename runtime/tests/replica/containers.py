"""The replica of a container as a plain process: a contract in a variable, a log on standard output."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelyard_runtime.contract import (
    REPLICA_PATH,
    START_VARIABLE,
    ContractError,
    ReplicaStatus,
    StartContract,
    encode_contract,
    read_status,
)
from modelyard_runtime.replica.ports import free_port

from runtime.tests.behaviour.replicas import tree

COMMAND = (sys.executable, "-I", "-m", "modelyard_runtime.replica")
START_S = 40.0
"""Long, because other tests share the machine."""


class Contained:
    """One that runs.

    `files` lie beside the script; `image` is what its environment says beside the contract; `inside` is what
    stands before its command, with FOLDER for the folder of it all; `fds` are descriptors that it inherits.
    """

    def __init__(
        self,
        folder: Path,
        script: str,
        *,
        files: Mapping[str, str] | None = None,
        image: Mapping[str, str] | None = None,
        inside: Sequence[str] = (),
        fds: Sequence[int] = (),
        **fields: Any,
    ) -> None:
        self.folder = folder
        self.run_dir = folder / "run"
        (folder / "code").mkdir()
        for name, text in {**(files or {}), "score.py": script}.items():
            (folder / "code" / name).write_text(text)
        where = {"run_dir": str(self.run_dir), "log_dir": "", "code_dir": str(folder / "code")}
        named = {"service": "digits", "revision": 3, "replica": "digits-r3-abcdef", "entry": "score.py"}
        self.contract = StartContract(
            **{
                **where,
                **named,
                "port": free_port("127.0.0.1"),
                "status_port": free_port("127.0.0.1"),
                "backoff_initial_s": 0.1,
                **fields,
            }
        )
        self.environ = {
            "PATH": os.environ["PATH"],
            **(image or {}),
            START_VARIABLE: encode_contract(self.contract),
        }
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*(word.replace("FOLDER", str(folder)) for word in inside), *COMMAND, "--from-environment"],
                env=self.environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=fds,
            )

    @property
    def log(self) -> str:
        """Return what came out of it."""
        return self._log.read_text(errors="replace")

    def ask(self, method: str, path: str, body: bytes = b"", *, port: int = 0) -> tuple[int, bytes]:
        """Ask on the data port, or another."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.contract.port, timeout=30)
        try:
            connection.request(method, path, body or None)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def status(self) -> ReplicaStatus | None:
        """Return what its parent answers; None where it does not yet, or no more."""
        try:
            return read_status(self.ask("GET", REPLICA_PATH, port=self.contract.status_port)[1])
        except (OSError, http.client.HTTPException, ContractError):
            return None

    def until(self, true: Callable[[ReplicaStatus], object], *, within_s: float = START_S) -> ReplicaStatus:
        """Poll its status until something holds. Fails with the log where it never does."""
        deadline = time.monotonic() + within_s
        while (status := self.status()) is None or not true(status):
            assert self.process.poll() is None, f"it ended\n{self.log}"
            assert time.monotonic() < deadline, f"{status}\n{self.log}"
            time.sleep(0.02)
        return status

    def ready(self) -> ReplicaStatus:
        """Wait until it serves."""
        return self.until(lambda status: status.phase == "ready")

    def health(self) -> tuple[int, str]:
        """Run its health check."""
        done = subprocess.run(
            [*COMMAND, "--health"], env=self.environ, capture_output=True, text=True, check=False, timeout=30
        )
        return done.returncode, done.stdout

    def parent(self) -> int:
        """Wait for the replica's parent to run, wherever it was started in; return its pid."""
        deadline = time.monotonic() + START_S
        while True:
            assert self.process.poll() is None, f"it ended\n{self.log}"
            assert time.monotonic() < deadline, self.log
            for pid in tree(self.process.pid):
                with contextlib.suppress(OSError):
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    if words[1 : len(COMMAND)] == [word.encode() for word in COMMAND[1:]]:
                        return pid
            time.sleep(0.002)

    def end(self) -> None:
        """Stop it at once."""
        if self.process.poll() is None:
            os.kill(self.parent(), signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


@contextmanager
def contained(script: str, **fields: Any) -> Iterator[Contained]:
    """Start one in a short folder of its own; `fields` are the contract's, or those of `Contained`."""
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    try:
        one = Contained(folder, script, **fields)
        try:
            yield one
        finally:
            one.end()
    finally:
        shutil.rmtree(folder)
