"""A real engine on loopback, for tests that need more than one distribution."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
from modelyard.client import Client
from modelyard.processes import Home, find_home

ROOT = Path(__file__).resolve().parents[1]
ENGINE = Path(sys.executable).parent / "engine"

SCORE = """
import json, os, time
from pathlib import Path

def init():
    global factor
    factor = json.loads((Path(os.environ["AZUREML_MODEL_DIR"]) / "factor.json").read_text())

def run(data):
    asked = json.loads(data)
    time.sleep(asked.get("sleep", 0))
    return [factor * number for number in asked["data"]]
"""


@attrs.define
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@attrs.define
class RunningEngine:
    """One engine with a home of its own; everything goes through its public faces."""

    folder: Path
    port: int
    environment: dict[str, str]
    _client: Client | None = None

    @property
    def home(self) -> Home:
        return find_home(self.environment)

    @property
    def client(self) -> Client:
        self._client = self._client or Client(self.home)
        return self._client

    def close(self) -> None:
        self.cli("down")
        if self._client is not None:
            self._client.close()

    def cli(self, *arguments: str | Path, stdin: str = "", cwd: Path | None = None) -> Answer:
        done = subprocess.run(
            [str(ENGINE), *(str(argument) for argument in arguments)],
            check=False,
            capture_output=True,
            text=True,
            env=self.environment,
            input=stdin,
            cwd=cwd or self.folder,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def up(self) -> None:
        answer = self.cli("up")
        assert answer.code == 0, answer.out + answer.err

    def deploy(self, folder: Path) -> Answer:
        answer = self.cli("deploy", folder)
        assert answer.code == 0, answer.out + answer.err
        return answer

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1/service/{service}/score"

    def key(self, service: str) -> str:
        return self.client.keys(service).primary.reveal()

    def post(
        self, service: str, body: object, *, key: str | None = None, timeout_s: float = 30
    ) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {key or self.key(service)}"}
        return httpx.post(self.url(service), json=body, headers=bearer, timeout=timeout_s)


def doubler(
    folder: Path, *, name: str = "doubler", factor: int = 2, score: str = SCORE, more: str = ""
) -> Path:
    """Write a service that multiplies; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "score.py").write_text(score)
    (folder / "factor.json").write_text(str(factor))
    (folder / "sample.json").write_text('{"data": [1, 2]}')
    (folder / "engine.yaml").write_text(
        f"name: {name}\nmodels: [factor.json]\ncode: {{entry: score.py, sample: sample.json}}\n{more}"
    )
    return folder


@attrs.define
class Prober:
    """Asks without pause from several threads and keeps every failure."""

    ask: Callable[[int], httpx.Response]
    threads: int = 4
    answered: int = 0
    failures: list[str] = attrs.field(factory=list)
    _stop: threading.Event = attrs.field(factory=threading.Event)
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def _work(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                answer = self.ask(number)
            except httpx.HTTPError as error:
                self._note(f"{type(error).__name__}: {error}")
            else:
                self._note(
                    "" if answer.status_code == httpx.codes.OK else f"{answer.status_code}: {answer.text}"
                )

    def _note(self, failure: str) -> None:
        with self._lock:
            self.answered += not failure
            if failure:
                self.failures.append(failure)
        if failure:
            time.sleep(0.02)

    @contextlib.contextmanager
    def running(self) -> Iterator[Prober]:
        workers = [threading.Thread(target=self._work, args=(number,)) for number in range(self.threads)]
        for worker in workers:
            worker.start()
        try:
            yield self
        finally:
            self._stop.set()
            for worker in workers:
                worker.join()


def until(condition: Callable[[], Any], *, seconds: float = 20, every: float = 0.05) -> Any:
    """Poll until the condition is truthy and return it; fails the test past the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        if result := condition():
            return result
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(every)


def free_port() -> int:
    # Below the range of outgoing connections: none of those takes it meanwhile. Not the seeded generator:
    # tests that run side by side would all get the same port.
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environments' cache, shared by all engines of this run (and of all its workers)."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "environments-cache"
    shared.mkdir(exist_ok=True)
    return shared


@contextlib.contextmanager
def engine_at(folder: Path, environments: Path) -> Iterator[RunningEngine]:
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cache").symlink_to(environments)
    (folder / "settings.yaml").write_text(f"router: {{port: {port}}}\n")
    # No network: what replicas need was fetched when the development environments were made.
    own = {"MODELYARD_HOME": str(folder), "UV_OFFLINE": "1", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": ""}
    engine = RunningEngine(folder, port, {**os.environ, **own})
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture
def home_folder() -> Iterator[Path]:
    """A short path: sockets live below it."""
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def engine(home_folder: Path, environments: Path) -> Iterator[RunningEngine]:
    with engine_at(home_folder / "home", environments) as running:
        running.up()
        yield running


@pytest.fixture(scope="module")
def shared_engine(environments: Path) -> Iterator[RunningEngine]:
    """One engine for a module whose tests do not disturb each other."""
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    with engine_at(folder / "home", environments) as running:
        running.up()
        yield running
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def lent_engine(shared_engine: RunningEngine) -> Iterator[RunningEngine]:
    """The module's engine, for one test: the services that it made are deleted after it."""
    client = shared_engine.client
    before = {service.name for service in client.services()}
    yield shared_engine
    for service in client.services():
        if service.name not in before:
            client.wait(client.delete(service.name).id)
