from __future__ import annotations

import contextlib
import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from modelyard.api import EngineSettings, EngineStatus, PluginSettings, RouterStatus
from modelyard.daemon import Wiring
from modelyard.processes import Home, find_home


@attrs.define
class FakeController:
    """Knows its status and how it was closed; nothing else is asked of it here."""

    home: Home
    closed: list[tuple[bool, bool]]
    close_failure: Exception | None = None

    def status(self) -> EngineStatus:
        return EngineStatus("0.1.0", 7, str(self.home.state), RouterStatus(connected=False, url=""), 0)

    async def close(self, *, stop_replicas: bool = False, stop_router: bool = False) -> None:
        self.closed.append((stop_replicas, stop_router))
        if self.close_failure is not None:
            raise self.close_failure


@attrs.define
class Fakes:
    """Everything the daemon wires, faked; remembers what was done with it."""

    closed: list[tuple[bool, bool]] = attrs.field(factory=list)
    hosts_closed: int = 0
    seen_home: Home | None = None
    open_failure: Exception | None = None
    close_failure: Exception | None = None

    def load_host(self, _settings: PluginSettings) -> Any:
        import os

        self.seen_home = find_home(os.environ)
        return self

    def close(self) -> None:
        self.hosts_closed += 1

    async def open_controller(self, home: Home, _settings: EngineSettings, _host: Any) -> Any:
        if self.open_failure is not None:
            raise self.open_failure
        return FakeController(home, self.closed, self.close_failure)

    @property
    def wiring(self) -> Wiring:
        return Wiring(load_host=self.load_host, open_controller=self.open_controller)


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
def home() -> Iterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))  # socket paths are short
    home = find_home({"MODELYARD_HOME": str(folder)})
    home.create()
    yield home
    shutil.rmtree(folder)


@pytest.fixture
def free_port() -> int:
    # Below the range of outgoing connections: none of those takes it meanwhile. Not the seeded generator:
    # tests that run side by side would all get the same port.
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
