"""A whole engine over fakes: an in-memory machine that outlives controllers, a router that obeys."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from modelyard.api import (
    AuthPolicy,
    CodeRef,
    Device,
    EngineImage,
    EngineImageOrder,
    EngineSettings,
    EnvironmentSpec,
    Finding,
    KeyPair,
    KeySlot,
    Maturity,
    Operation,
    PluginSettings,
    Progress,
    Secret,
    ServiceSpec,
    Severity,
    Target,
    Unavailable,
)
from modelyard.control import BusyScaler
from modelyard.controller import Built, Controller, Inspection, Kept, Parts
from modelyard.controller.artifacts import LocalArtifacts
from modelyard.host import Host, load
from modelyard.processes import Home, find_home
from modelyard.router import Endpoint, LoadReport, RouterState, XdsStatus
from modelyard.store import RevisionRecord
from modelyard.testing import FakeDeviceBackend, FakePlace, FakeTarget, InMemoryRegistry, plugin_from

DEADLINE_SECONDS = 10.0


class FakeXds:
    """A router that takes everything at once, unless told to refuse, and reports load."""

    def __init__(self, machine: Machine, on_load: Callable[[LoadReport], None]) -> None:
        self._machine = machine
        self._on_load = on_load
        self._reporter: asyncio.Task[None] | None = None
        self._versions: dict[str, RouterState] = {}

    async def start(self) -> None:
        self._reporter = asyncio.create_task(self._report())

    async def stop(self) -> None:
        if self._reporter is not None:
            self._reporter.cancel()
            await asyncio.gather(self._reporter, return_exceptions=True)

    def publish(self, state: RouterState) -> str:
        version = hashlib.sha256(repr(state).encode()).hexdigest()
        self._versions[version] = state
        if not self._machine.nack and (not self._machine.states or self._machine.states[-1] != state):
            self._machine.states.append(state)
        return version

    async def acknowledged(self, version: str, *, timeout_seconds: float) -> None:
        assert version in self._versions
        await asyncio.sleep(min(timeout_seconds, 0.001))
        if self._machine.nack:
            raise Unavailable(f"the router refused: {self._machine.nack}")

    @property
    def status(self) -> XdsStatus:
        return XdsStatus(connected=True, version="v", nack=self._machine.nack)

    async def _report(self) -> None:
        while True:
            in_flight = {name: dict(load) for name, load in self._machine.load.items()}
            self._on_load(LoadReport(at_s=time.monotonic(), in_flight=in_flight))
            await asyncio.sleep(0.01)


@attrs.define
class FakeRouter:
    pid: int | None = None
    trouble: Exception | None = None

    async def ensure(self) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.pid = 4711

    async def stop(self) -> None:
        self.pid = None


@attrs.define
class FakeArtifacts:
    """Keeps code by content; an environment is a folder."""

    home: Home
    build_error: Exception | None = None
    build_gate: asyncio.Event | None = None
    built: int = 0
    discarded: list[str] = attrs.field(factory=list)
    looked: list[tuple[bool, tuple[str, ...]]] = attrs.field(factory=list)
    frozen: list[bool] = attrs.field(factory=list)

    async def inspect(
        self, spec: ServiceSpec, target: Target, *, frozen: bool = False, recent: Sequence[str] = ()
    ) -> Inspection:
        assert target.name == spec.target
        self.looked.append((frozen, tuple(recent)))
        digest = self._digest(spec)
        cached = (self.home.environments / _key(spec.environment)).is_dir()
        return Inspection(digest, 1, 10, ("data/",), (), _key(spec.environment), cached)

    async def keep(self, spec: ServiceSpec, revision: int) -> Kept:
        assert revision > 0
        digest = self._digest(spec)
        folder = self.home.snapshots / digest
        folder.mkdir(parents=True, exist_ok=True)
        return Kept(digest, str(folder), (), "", "")

    async def build(self, revision: RevisionRecord, target: Target, on_line: Callable[[str], None]) -> Built:
        assert target.name == revision.spec.target
        on_line("resolving")
        self.frozen.append(revision.frozen)
        if self.build_gate is not None:
            await self.build_gate.wait()
        if self.build_error is not None:
            raise self.build_error
        key = _key(revision.spec.environment)
        folder = self.home.environments / key
        self.built += not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        return Built(key, str(folder))

    async def attest(self, revision: RevisionRecord, target: Target) -> None:
        raise AssertionError(f"{revision.service} has no image on {target.name}")

    def explain_miss(self, old: EnvironmentSpec | None, new: EnvironmentSpec) -> str:
        return "first" if old is None else f"requirements: {' '.join(new.requirements)}"

    async def discard(self, service: str, revisions: Sequence[int], folders: Sequence[str]) -> None:
        assert service
        assert all(revisions)
        for folder in folders:
            self.discarded.append(folder)
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(folder)  # noqa: PTH106  quick, and ASYNC240 minds pathlib

    def _digest(self, spec: ServiceSpec) -> str:
        return hashlib.sha256((Path(spec.code.source) / spec.code.entry).read_bytes()).hexdigest()


class FakeEngineImages:
    """Repeats what it was asked."""

    async def build(self, order: EngineImageOrder) -> AsyncIterator[Progress[EngineImage]]:
        yield Progress(f"building {order.tag}")


def _key(spec: EnvironmentSpec) -> str:
    return hashlib.sha256(repr(spec.requirements).encode()).hexdigest()


@attrs.frozen
class FakeAuthenticator:
    name: str = "key"
    maturity: Maturity = Maturity.STABLE
    numbers: Any = attrs.field(factory=itertools.count)

    def _fresh(self) -> Secret:
        return Secret(f"key-{next(self.numbers)}-{time.monotonic_ns()}")

    def issue(self) -> KeyPair:
        return KeyPair(self._fresh(), self._fresh())

    def rotate(self, keys: KeyPair, slot: KeySlot, value: Secret | None = None) -> KeyPair:
        return attrs.evolve(keys, **{slot: value or self._fresh()})

    def revoke(self, keys: KeyPair, slot: KeySlot) -> KeyPair:
        return self.rotate(keys, slot)

    def compile(self, keys: KeyPair | None) -> AuthPolicy:
        if keys is None:
            return AuthPolicy(mode="key")
        pairs = (("primary", keys.primary), ("secondary", keys.secondary))
        digests = {hashlib.sha256(one.reveal().encode()).hexdigest(): slot for slot, one in pairs}
        return AuthPolicy(mode="key", digests=digests)


@attrs.frozen
class FailingCheck:
    name: str = "grumpy"
    maturity: Maturity = Maturity.STABLE

    def run(self) -> tuple[Finding, ...]:
        raise ValueError("no idea")


@attrs.frozen
class FineCheck:
    name: str = "fine"
    maturity: Maturity = Maturity.STABLE

    def run(self) -> tuple[Finding, ...]:
        return (Finding("fine", "machine", Severity.OK, "all is well"),)


@attrs.define
class Machine:
    """What outlives a controller, and the controller of the moment."""

    home: Home
    folder: Path
    place: FakePlace = attrs.field(factory=FakePlace)
    states: list[RouterState] = attrs.field(factory=list)
    load: dict[str, dict[str, int]] = attrs.field(factory=dict)
    nack: str = ""
    router: FakeRouter = attrs.field(factory=FakeRouter)
    events: list[object] = attrs.field(factory=list)
    artifacts: FakeArtifacts = attrs.field(init=False)
    devices: FakeDeviceBackend = attrs.field(init=False)
    calm_seconds: float = 60.0
    suffixes: Any = attrs.field(factory=lambda: (f"{n:06d}" for n in itertools.count()))

    def __attrs_post_init__(self) -> None:
        self.artifacts = FakeArtifacts(self.home)
        self.devices = FakeDeviceBackend(
            devices=tuple(Device(id=f"cpu-{n}", kind="cpu") for n in range(64)), name="cpu", kind="cpu"
        )

    def host(self, **more: object) -> Host:
        def hear(event: object) -> None:
            self.events.append(event)

        hooks: dict[str, Any] = {
            "offer_targets": [FakeTarget(self.place)],
            "offer_devices": [self.devices],
            "offer_scalers": [BusyScaler(calm_seconds=self.calm_seconds)],
            "offer_authenticators": [FakeAuthenticator()],
            "offer_registries": [InMemoryRegistry()],
            "offer_checks": [FailingCheck(), FineCheck()],
            "on_deployed": hear,
            "on_scaled": hear,
            "on_replica_failed": hear,
            "on_deleted": hear,
            "on_planned": hear,
        }
        hooks.update(more)
        return load(PluginSettings(), entry_points=[plugin_from("all", **hooks)])

    async def open(self, host: Host | None = None) -> Controller:
        host = host or self.host()
        settings = EngineSettings(registry=InMemoryRegistry().name)
        parts = Parts(
            artifacts=self.artifacts,
            images=LocalArtifacts(self.home, host, settings).images,
            engine_images=FakeEngineImages(),
            xds=lambda on_load: FakeXds(self, on_load),
            router=self.router,
            clock=time.monotonic,
            wall_clock=time.time,
            new_suffix=lambda: next(self.suffixes),
            interval_seconds=0.01,
            settle_seconds=0.02,
            acknowledge_seconds=0.5,
        )
        return await Controller.open(self.home, settings, host, parts=parts)

    @contextlib.asynccontextmanager
    async def engine(self, host: Host | None = None) -> AsyncIterator[Controller]:
        controller = await self.open(host)
        try:
            yield controller
        finally:
            await controller.close()

    def spec(self, name: str = "digits", *, code: str = "def run(data): return 1\n", **fields: Any):
        source = self.folder / name
        source.mkdir(exist_ok=True)
        (source / "score.py").write_text(code, encoding="utf-8")
        base = ServiceSpec(name=name, code=CodeRef(source=str(source), entry="score.py"), target="fake")
        return attrs.evolve(base, **fields)

    @staticmethod
    async def finish(controller: Controller, operation: Operation) -> Operation:
        """Wait for an operation's end."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            async for now in controller.watch(operation.id):
                operation = now
        return operation

    @staticmethod
    async def eventually(true: Callable[[], object]) -> None:
        """Poll until it is so."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not true():  # noqa: ASYNC110  what it waits for knows nothing of events
                await asyncio.sleep(0.005)

    def endpoints(self, name: str = "digits") -> set[str]:
        """Name the replicas that get new requests, as the router was last told."""
        return {one.replica for one in self._endpoints(name) if not one.draining}

    def draining(self, name: str = "digits") -> set[str]:
        """Name the replicas that only finish what they have."""
        return {one.replica for one in self._endpoints(name) if one.draining}

    def _endpoints(self, name: str) -> tuple[Endpoint, ...]:
        services = self.states[-1].services if self.states else ()
        return next((one.endpoints for one in services if one.name == name), ())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    home = find_home({"MODELYARD_HOME": str(tmp_path / "home")})
    folder = tmp_path / "projects"
    folder.mkdir()
    return Machine(home=home, folder=folder)
