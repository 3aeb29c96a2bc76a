"""Both servers, started with the same script on unix sockets in short private folders."""

from __future__ import annotations

import dataclasses
import http.client
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard_runtime.contract import STATE_FILE, ContractError, read_state

from runtime.tests.behaviour.replicas import START_S, UnixConnection, replica
from runtime.tests.conformance.cases import Case, Group
from runtime.tests.conformance.comparing import Answer


def ask(path: Path, case: Case) -> Answer:
    """Send one request to a server's socket, on a connection of its own."""
    connection = UnixConnection(path)
    try:
        connection.request(case.method, case.path, case.body or None, dict(case.headers))
        answer = connection.getresponse()
        body = answer.read()
        return Answer(answer.status, tuple((n.lower(), v) for n, v in answer.getheaders()), body)
    finally:
        connection.close()


@dataclasses.dataclass
class Running:
    """A server under its own folder."""

    folder: Path
    socket: Path
    process: subprocess.Popen[bytes]

    def log(self) -> str:
        """Return what it printed."""
        logs = [*self.folder.glob("*.log"), *self.folder.glob("log/replica.log")]
        return "\n".join(path.read_text(errors="replace") for path in logs)

    def end(self) -> None:
        """Stop it and wait until it is gone."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


@contextmanager
def folder_for(group: Group) -> Iterator[Path]:
    """Make a short private folder with the group's files in `app/`."""
    folder = Path(tempfile.mkdtemp(prefix="cf-", dir="/tmp"))
    try:
        (folder / "app").mkdir()
        for name, text in {**group.files, "score.py": group.script}.items():
            (folder / "app" / name).write_text(text)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def theirs(group: Group, python: Path) -> Iterator[Running]:
    """Start the v1 server as its images do: gunicorn with its application."""
    with folder_for(group) as folder:
        argv = [str(python), "-m", "gunicorn", "--bind", f"unix:{folder}/s", "--workers", "1"]
        argv += ["--access-logfile", "-", "azureml_inference_server_http.server.entry:app"]
        variables = {
            "PATH": os.environ.get("PATH", ""),
            "AML_APP_ROOT": str(folder / "app"),
            "AZUREML_ENTRY_SCRIPT": "score.py",
            **_name(group),
            **group.variables,
        }
        with (folder / "their.log").open("wb") as log:
            process = subprocess.Popen(argv, env=variables, cwd=folder / "app", stdout=log, stderr=log)
        running = Running(folder, folder / "s", process)
        try:
            yield running
        finally:
            running.end()


def _name(group: Group) -> dict[str, str]:
    """Return the variable that v1's own command sets before it becomes gunicorn."""
    named = group.variables.get("SERVER_VERSION_LOG_RESPONSE_ENABLED", "true") == "true"
    return {"HTTP_X_MS_SERVER_VERSION": "azmlinfsrv/1.5.1"} if named else {}


@contextmanager
def ours(group: Group, *, compat: str = "", worker_python: Path | None = None) -> Iterator[Running]:
    """Start a replica as every target does: its parent with a contract. `worker_python`: process isolation."""
    isolation = {"isolation": "process", "worker_python": str(worker_python)} if worker_python else {}
    told = {"compat": compat, "variables": dict(group.variables), **isolation, **group.contract}
    with replica(group.script, files=group.files, **told) as one:
        yield Running(one.folder, one.socket, one.process)


def until_healthy(running: Running) -> None:
    """Wait until `GET /` says 200. Fails with the log where it never does."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            if ask(running.socket, Case("health", "GET", "/")).status == http.HTTPStatus.OK:
                return
        except (OSError, http.client.HTTPException):
            pass
        assert running.process.poll() is None, f"the server ended\n{running.log()}"
        assert _phase(running) != "failed", running.log()
        assert time.monotonic() < deadline, f"the server never became healthy\n{running.log()}"
        time.sleep(0.02)


def _phase(running: Running) -> str:
    try:
        return read_state(running.folder / "run" / STATE_FILE).phase
    except ContractError:
        return ""
