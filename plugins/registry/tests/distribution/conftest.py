"""A registry that fails on demand, and a client that does not wait between its tries."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs
import pytest
from modelyard_registry.distribution import DistributionRegistry
from modelyard_registry.distribution.retrying import Patience
from modelyard_registry.distribution.servers import parse_servers
from modelyard_registry.distribution.session import Limits
from modelyard_registry.distribution.transport import Timing

from plugins.registry.tests.distribution.fake import FakeRegistry, served
from plugins.registry.tests.distribution.real import RealRegistry, running

Connect = Callable[..., DistributionRegistry]


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with served() as registry:
        yield registry


@pytest.fixture
def elsewhere() -> Iterator[FakeRegistry]:
    """Another server: storage, or somebody hostile."""
    with served() as registry:
        yield registry


@pytest.fixture
def waits() -> list[float]:
    """How long the client would have waited, try by try."""
    return []


@attrs.define
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connect(fake: FakeRegistry, waits: list[float], clock: Clock, tmp_path: Path) -> Connect:
    """Give a client of `fake`: `connect(realms=["..."], chunk_bytes=100)`."""

    async def note(seconds: float) -> None:
        waits.append(seconds)

    def make(
        *,
        environ: Mapping[str, str] | None = None,
        timing: Timing | None = None,
        chunk_bytes: int = 1000,
        **keys: object,
    ) -> DistributionRegistry:
        lines = [f"{key} = {value!r}" for key, value in keys.items()]
        text = "\n".join(["[registry.fake]", f'host = "{fake.host}"', *lines])
        (server,), mistakes = parse_servers(text.encode())
        assert not mistakes
        patience = Patience(
            attempts=4, sleep=note, chance=lambda: 0.5, wall_clock=lambda: 1_800_000_000.0, clock=clock
        )
        limits = Limits(chunk_bytes=chunk_bytes, patience=patience, timing=timing or Timing())
        return DistributionRegistry(server, environ or {"HOME": str(tmp_path)}, limits)

    return make


@attrs.frozen
class Uploaded:
    """What a test pushed."""

    content: bytes
    file: Path


@pytest.fixture
def weights(tmp_path: Path) -> Uploaded:
    """A file of several pieces."""
    content = bytes(range(256)) * 20
    (tmp_path / "weights").write_bytes(content)
    return Uploaded(content, tmp_path / "weights")


@pytest.fixture
def environ(fake: FakeRegistry, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who is logged in to `fake`."""
    auth = base64.b64encode(b"somebody:canary-password").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {fake.host: {"auth": auth}}}))
    return {"DOCKER_CONFIG": str(tmp_path)}


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[RealRegistry]:
    """The distribution project's own server, open to everybody on this machine."""
    with running(tmp_path / "plain") as real:
        yield real
