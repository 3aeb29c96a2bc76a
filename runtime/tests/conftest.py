"""A small ASGI driver, and real replicas on unix sockets in short private folders."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from modelyard_runtime.contract import ContractError, ReplicaState, StartContract, read_state, write_contract
from modelyard_runtime.server.app import Application
from modelyard_runtime.server.service import Service

ECHO = """
import json
def init():
    pass
def run(data):
    return json.loads(data)
"""


@dataclasses.dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    trailers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""
    every: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    """The headers with their repeats."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Speaks ASGI to one application, inside one event loop."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._app = Application(service)

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | list[bytes] = b"",
        *,
        headers: dict[str, str] | None = None,
        query: str = "",
        gone: asyncio.Event | None = None,
    ) -> Reply:
        chunks = body if isinstance(body, list) else [body]
        parts = list(chunks)
        reply = Reply()

        async def receive() -> dict[str, Any]:
            if parts:
                return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}
            await (gone or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            told = {name.decode(): value.decode() for name, value in message.get("headers", [])}
            if message["type"] == "http.response.start":
                reply.status, reply.headers = message["status"], told
                reply.every = [(name.decode(), value.decode()) for name, value in message["headers"]]
            elif message["type"] == "http.response.trailers":
                reply.trailers = told
            else:
                reply.body += message.get("body", b"")

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        }
        await self._app(scope, receive, send)
        return reply

    async def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not true():
            assert time.monotonic() < deadline, "what was waited for did not happen"
            await asyncio.sleep(0.005)


Scenario = Callable[[Client], Awaitable[Any]]
Serve = Callable[..., Any]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Run a scenario against a script: `serve(script, scenario, **contract fields)`."""
    before = list(sys.path)

    def run(script: str, scenario: Scenario, *, wait: bool = True, **fields: Any) -> Any:
        (tmp_path / "score.py").write_text(script)
        contract = StartContract(
            service="digits",
            revision=3,
            replica="digits-r3-abcdef",
            run_dir=str(tmp_path),
            log_dir=str(tmp_path),
            code_dir=str(tmp_path),
            entry="score.py",
            **fields,
        )

        async def live() -> Any:
            service = Service(contract)
            client = Client(service)
            service.start()
            try:
                if wait:
                    await client.until(lambda: service.ready or bool(service.failed))
                return await scenario(client)
            finally:
                await service.close()

        return asyncio.run(live())

    yield run
    sys.path[:] = before
    sys.modules.pop("score", None)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("replica", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self._path))


class RealReplica:
    """A replica's parent and server as real processes."""

    def __init__(self, folder: Path, script: str, **fields: Any) -> None:
        self.folder = folder
        self.code, self.run_dir, self.logs = (folder / name for name in ("code", "run", "log"))
        for made in (self.code, self.run_dir, self.logs):
            made.mkdir()
        (self.code / "score.py").write_text(script)
        self.contract = StartContract(
            service="digits",
            revision=3,
            replica=f"digits-r3-{folder.name[-6:].lower()}",
            run_dir=str(self.run_dir),
            log_dir=str(self.logs),
            code_dir=str(self.code),
            entry="score.py",
            **{"backoff_initial_s": 0.1, "backoff_max_s": 0.2, **fields},
        )
        start = self.run_dir / "start.json"
        write_contract(self.contract, start)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "modelyard_runtime.replica", str(start)],
            env={**os.environ, "ENGINE_SECRET": "not for scripts"},
        )

    @property
    def socket(self) -> Path:
        return self.run_dir / "http.sock"

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.logs.glob("replica.log*"), reverse=True))

    def state(self) -> ReplicaState | None:
        with contextlib.suppress(ContractError):
            return read_state(self.run_dir / "state.json")
        return None

    def until(self, true: Callable[[ReplicaState], bool], *, within_s: float = 20) -> ReplicaState:
        deadline = time.monotonic() + within_s
        while True:
            state = self.state()
            if state is not None and true(state):
                return state
            assert time.monotonic() < deadline, f"{state}\n{self.log}"
            time.sleep(0.02)

    def ready(self) -> ReplicaState:
        return self.until(lambda state: state.phase == "ready")

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = _Unix(self.socket)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


@pytest.fixture
def replica() -> Iterator[Callable[..., RealReplica]]:
    """Start real replicas: `replica(script, **contract fields)`; unix paths must be short."""
    made: list[RealReplica] = []

    def start(script: str = ECHO, **fields: Any) -> RealReplica:
        one = RealReplica(Path(tempfile.mkdtemp(prefix="my-", dir="/tmp")), script, **fields)
        made.append(one)
        return one

    yield start
    for one in made:
        one.end()
        shutil.rmtree(one.folder)


@pytest.fixture
def port() -> int:
    """Return a TCP port of the loopback that was free just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
