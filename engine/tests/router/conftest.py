from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import random
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
from modelyard.api import AuthPolicy, RouterSettings
from modelyard.processes import Home, ProcessRef, find_home, signal_process
from modelyard.router import (
    Endpoint,
    LoadReport,
    RoutedService,
    RouterProcess,
    RouterState,
    XdsServer,
    memory,
)
from modelyard_runtime.contract import start_ticks

KEY = "primary-key-of-digits-0123456789abcdef"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def key_policy(*keys: str) -> AuthPolicy:
    return AuthPolicy("key", {digest(key): f"slot{number}" for number, key in enumerate(keys)})


def service(name: str, *addresses: str, **changes: Any) -> RoutedService:
    endpoints = tuple(Endpoint(f"{name}-{n}", address) for n, address in enumerate(addresses))
    known = RoutedService(
        name=name,
        auth=AuthPolicy("none"),
        timeout_seconds=10.0,
        max_body_bytes=1_000,
        max_concurrent=4,
        max_pending=40,
        endpoints=endpoints,
    )
    return attrs.evolve(known, **changes)


class Replica:
    """A tiny HTTP/1.1 server on a unix socket: echoes what it was sent, holds on, dies, as asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.release = threading.Event()
        self.holding = threading.Event()
        replica = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                replica.answer(self)

            do_POST = do_HEAD = do_OPTIONS = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

            def address_string(self) -> str:
                return "unix"

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_UNIX
            daemon_threads = True
            request_queue_size = 128

            def server_bind(self) -> None:
                self.socket.bind(str(path))

            def handle_error(self, *_: object) -> None:
                pass  # a router that hangs up is part of the tests

        self.server = Server(("unix", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"unix:{self.path}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        if "hold" in request.path:
            self.holding.set()
            self.release.wait(15)
        if "drip" in request.path:
            self.drip(request)
            return
        if "die" in request.path:
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        content = json.dumps(
            {
                "path": request.path,
                "headers": {name.lower(): value for name, value in request.headers.items()},
                "body": body.decode(),
                "replica": self.path.name,
            }
        ).encode()
        request.send_response(200)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def drip(self, request: BaseHTTPRequestHandler) -> None:
        """Send five pieces, one each 150 ms: as long as 0.6 s, never silent for 0.2 s; then fall silent if asked."""
        request.send_response(200)
        request.send_header("transfer-encoding", "chunked")
        request.end_headers()
        for number in range(5):
            time.sleep(0.15 if number else 0)
            request.wfile.write(b"2\r\n%d\n\r\n" % number)
            request.wfile.flush()
        if "silent" in request.path:
            self.release.wait(15)
        request.wfile.write(b"0\r\n\r\n")

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
        self.path.unlink(missing_ok=True)


class Rig:
    """A home with a control plane in a thread of its own, a router, and replicas."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
        self.home: Home = find_home({"MODELYARD_HOME": str(self.root)})
        self.home.create()
        self.settings = RouterSettings(port=free_port())
        self.process = RouterProcess(self.home, self.settings)
        self.reports: list[LoadReport] = []
        self.replicas: list[Replica] = []
        self.numbers = itertools.count()
        self.keepalive: dict[str, float] = {}
        self.xds: XdsServer | None = None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    def run(self, work: Any, timeout: float = 50) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def state(self, *services: RoutedService) -> RouterState:
        return RouterState("127.0.0.1", self.settings.port, services, **self.keepalive)

    def replica(self, name: str = "r") -> Replica:
        # never an address twice: Envoy keeps connections to one that has closed, which answers on them still
        made = Replica(self.root / f"{name}{next(self.numbers)}.sock")
        self.replicas.append(made)
        return made

    def start_control(self) -> XdsServer:
        async def begin() -> XdsServer:
            made = XdsServer(self.home.xds_socket, on_load=self.reports.append)
            await made.start()
            return made

        self.xds = self.run(begin())
        return self.xds

    def stop_control(self) -> None:
        if self.xds is not None:
            self.run(self.xds.stop())
            self.xds = None

    def publish(self, *services: RoutedService) -> str:
        assert self.xds is not None
        xds, state = self.xds, self.state(*services)

        async def publish() -> str:
            version = xds.publish(state)
            await xds.acknowledged(version, timeout_seconds=15)
            return version

        version: str = self.run(publish())
        return version

    def up(self, *services: RoutedService) -> None:
        assert self.xds is not None
        xds, state = self.xds, self.state(*services)

        async def begin() -> None:
            version = xds.publish(state)
            await self.process.ensure()
            await xds.acknowledged(version, timeout_seconds=20)

        self.run(begin())

    def client(self, **more: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20, trust_env=False, **more)

    def close(self) -> None:
        if (unheard := memory.read_unheard(self.home.router_state)) is not None:
            signal_process(unheard, signal.SIGKILL)
        for file in self.home.router_run.glob("envoy-*.pid"):
            parent, envoy = int(file.stem.partition("-")[2]), int(file.read_text())
            for pid in (parent, envoy):
                ref = ProcessRef(pid, start_ticks(pid))
                if ref.start_ticks and str(self.root) in Path(f"/proc/{pid}/cmdline").read_text():
                    signal_process(ref, signal.SIGKILL)
        self.stop_control()
        for replica in self.replicas:
            replica.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()
        shutil.rmtree(self.root, ignore_errors=True)


def eventually(done: Callable[[], Any], within_seconds: float = 15) -> None:
    """Wait until `done()` is true; fail with what it last said."""
    deadline = time.monotonic() + within_seconds
    while not (seen := done()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.02)


def free_port() -> int:
    # Below the range of outgoing connections: none of those takes it meanwhile. Not the seeded generator:
    # tests that run side by side would all get the same port.
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def rig() -> Iterator[Rig]:
    made = Rig()
    try:
        made.start_control()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    """One running router for tests that leave it as they found it."""
    with rig() as made:
        made.up()
        yield made


@pytest.fixture
def own() -> Iterator[Rig]:
    """A router for tests that stop, kill or restart it."""
    with rig() as made:
        yield made
