from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from modelyard.api import (
    Device,
    EngineImage,
    EngineImageOrder,
    EngineStatus,
    Finding,
    ImageDetails,
    ImageEnvironment,
    ImageInputs,
    ImageKind,
    ImageLayer,
    ImageOutlook,
    ImageSummary,
    KeyPair,
    KeySlot,
    LockedEnvironment,
    LockReport,
    NotFound,
    Operation,
    OperationKind,
    OperationState,
    PackageChange,
    Plan,
    PluginRecord,
    PluginState,
    Progress,
    Pruned,
    PruneReport,
    Replica,
    ReplicaPhase,
    Revision,
    RouterStatus,
    ScalingRecord,
    Secret,
    ServiceSpec,
    ServiceState,
    ServiceView,
    Setting,
    Severity,
    StepReport,
    TransferReport,
)
from modelyard.client import Client
from modelyard.client.requests import ShutdownRequest
from modelyard.management import ManagementServer, build_app
from modelyard.processes import Home, find_home


def _operation(kind: OperationKind, *, state: OperationState = OperationState.RUNNING) -> Operation:
    return Operation(
        id="op-1",
        service="digits",
        kind=kind,
        state=state,
        revision=2,
        steps=(StepReport(name="snapshot", state=OperationState.SUCCEEDED, seconds=0.25),),
        result={"unchanged": True, "files": [1, 2]},
    )


VIEW = ServiceView(
    name="digits",
    state=ServiceState.HEALTHY,
    url="http://127.0.0.1:1/api/v1/service/digits/score",
    grpc_url="127.0.0.1:1",
    revision=2,
    target="process",
    auth="key",
    replicas=(Replica(id="digits-r2-abcdef", service="digits", revision=2, phase=ReplicaPhase.READY),),
    operation=_operation(OperationKind.SCALE),
    revisions=(Revision(2, 1.5, "sha256:aa", "key", ("sha256:bb",), "serving"),),
    settings=(Setting("request.timeout", "60s", "default"),),
    tags={"team": "vision"},
)


ENGINE_IMAGE = EngineImage(
    registry="company",
    repository="images/engine",
    tag="0.1.0",
    digest="sha256:aa",
    address="registry.example/images/engine@sha256:aa",
    version="0.1.0",
    revision="abc123",
    platform="linux/amd64",
    base="python:3.11",
    base_digest="sha256:bb",
    python="3.11.7",
    wheels=("modelyard-0.1.0-py3-none-any.whl",),
    left_out=("acme: why",),
    packages=52,
    environment_key="cc",
    environment_found=True,
)
SUMMARY = ImageSummary(
    kind=ImageKind.ENVIRONMENT,
    registry="oci-layout",
    repository="images/environments",
    tag="a" * 64,
    digest="sha256:aa",
    platform="linux/amd64",
    base="python:3",
    pythons=("3.11.9",),
    packages=None,
    size_bytes=1000,
    used_by=("digits:2",),
)
LOCKED = LockReport(
    service="digits",
    kind="image",
    platform="linux/amd64",
    lock_key="k",
    isolation="thread",
    environments=(LockedEnvironment("env", "3.11.9", ("numpy==2.1.0",)),),
    changes=(PackageChange("env", "numpy", "2.0.0", "2.1.0"),),
    was_stored=True,
    stored=False,
    fingerprint="f",
)
MOVED = TransferReport("k", "sha256:aa", "a/b", "c/d:k", 30, 20)
PRUNED = PruneReport((Pruned("image", "a:b", "old", 31.5),), (Pruned("lock", "a:c", "new"),), 7, False)


@attrs.frozen
class FakeImages:
    """Answers for images with fixed values."""

    note: Callable[..., None]
    abandoned: threading.Event = attrs.field(factory=threading.Event)

    async def list(self, registry: str) -> tuple[ImageSummary, ...]:
        self.note("list", registry)
        return (SUMMARY,)

    async def show(self, name: str) -> ImageDetails:
        self.note("show", name)
        inputs = ImageInputs("linux/amd64", "python:3", "sha256:1", "", ("numpy",), ())
        inside = ImageEnvironment("/opt/modelyard/env", "3.11.9", True, 1, "numpy==2.1.0\n")
        layer = ImageLayer("base", "sha256:2", 10, "tar")
        return ImageDetails(SUMMARY, "", "a" * 64, inputs, (inside,), (layer,))

    async def why(self, spec: ServiceSpec) -> ImageOutlook:
        self.note("why", spec)
        return ImageOutlook("digits", "image", "k", False, "", "requirements: +scipy")

    def lock(self, spec: ServiceSpec, *, platform: str) -> AsyncIterator[Progress[LockReport]]:
        self.note("lock", spec, platform)
        return self._lines(LOCKED)

    def refresh(
        self, spec: ServiceSpec, *, platform: str, dry_run: bool, expected: str
    ) -> AsyncIterator[Progress[LockReport]]:
        self.note("refresh", spec, platform, dry_run, expected)
        return self._lines(LOCKED)

    def pull(self, reference: str, *, key: str) -> AsyncIterator[Progress[TransferReport]]:
        self.note("pull", reference, key)
        return self._lines(MOVED)

    def push(self, key: str, *, registry: str) -> AsyncIterator[Progress[TransferReport]]:
        self.note("push", key, registry)
        return self._forever() if registry == "slow" else self._lines(MOVED)

    def prune(self, *, keep_days: float, dry_run: bool) -> AsyncIterator[Progress[PruneReport]]:
        self.note("prune", keep_days, dry_run)
        return self._lines(PRUNED)

    async def _forever(self) -> AsyncIterator[Any]:
        try:
            yield Progress("copying", 10, 30)
            await asyncio.Event().wait()
        finally:
            self.abandoned.set()

    async def _lines(self, result: Any) -> AsyncIterator[Any]:
        yield Progress("copying", 10, 30)
        yield Progress(result=result)


@attrs.define
class FakeEngine:
    """Answers with fixed values and remembers what it was asked."""

    asked: list[tuple[object, ...]] = attrs.field(factory=list)
    failure: Exception | None = None
    abandoned: threading.Event = attrs.field(factory=threading.Event)
    events: tuple[OperationState, ...] = (OperationState.RUNNING, OperationState.SUCCEEDED)

    def _note(self, *what: object) -> None:
        self.asked.append(what)
        if self.failure is not None:
            raise self.failure

    def status(self) -> EngineStatus:
        self._note("status")
        return EngineStatus("0.1.0", 7, "/home", RouterStatus(connected=True, url="http://x"), 1)

    @property
    def images(self) -> FakeImages:
        return FakeImages(self._note, self.abandoned)

    async def plan(self, spec: ServiceSpec, *, frozen: bool) -> Plan:
        self._note("plan", spec, frozen)
        return Plan("digits", 3, ("code",), ("snapshot",), (Setting("a", "1", "file", old="0"),))

    async def deploy(self, spec: ServiceSpec, *, frozen: bool) -> Operation:
        self._note("deploy", spec, frozen)
        return _operation(OperationKind.DEPLOY)

    def operation(self, operation_id: str) -> Operation:
        self._note("operation", operation_id)
        if operation_id == "unknown":
            raise NotFound("no such operation", place=operation_id, remedy="look again")
        return _operation(OperationKind.DEPLOY, state=self.events[-1])

    async def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        self._note("watch", operation_id)
        try:
            for state in self.events:
                yield _operation(OperationKind.DEPLOY, state=state)
            if self.events[-1] is OperationState.RUNNING:
                await asyncio.Event().wait()  # nothing more happens
        finally:
            self.abandoned.set()

    async def cancel(self, operation_id: str) -> Operation:
        self._note("cancel", operation_id)
        return _operation(OperationKind.DEPLOY)

    def services(self) -> tuple[ServiceView, ...]:
        self._note("services")
        return (VIEW,)

    def service(self, name: str) -> ServiceView:
        self._note("service", name)
        if name != "digits":
            raise NotFound(f"no service {name!r}", place=name, remedy="run `engine list`")
        return VIEW

    async def rollback(self, name: str, revision: int | None) -> Operation:
        self._note("rollback", name, revision)
        return _operation(OperationKind.ROLLBACK)

    async def scale(
        self, name: str, *, minimum: int | None, maximum: int | None, replicas: int | None
    ) -> Operation:
        self._note("scale", name, minimum, maximum, replicas)
        return _operation(OperationKind.SCALE)

    async def delete(self, name: str) -> Operation:
        self._note("delete", name)
        return _operation(OperationKind.DELETE)

    def keys(self, name: str) -> KeyPair:
        self._note("keys", name)
        return KeyPair(Secret("mk_p_one"), Secret("mk_s_two"))

    async def rotate_key(self, name: str, slot: KeySlot, value: Secret | None) -> KeyPair:
        self._note("rotate_key", name, slot, value)
        return KeyPair(value or Secret("fresh"), Secret("mk_s_two"))

    async def logs(self, name: str, *, replica: str | None, lines: int, follow: bool) -> AsyncIterator[str]:
        self._note("logs", name, replica, lines, follow)
        yield "first"
        yield "zweite Zeile \u00fc"
        if replica == "gone":
            raise NotFound("no such replica", place="gone", remedy="leave it out")

    def scaling(self, name: str) -> tuple[ScalingRecord, ...]:
        self._note("scaling", name)
        return (ScalingRecord(1.0, 1, 2, 1.5, 150.0, "busy"),)

    def plugins(self) -> tuple[PluginRecord, ...]:
        self._note("plugins")
        return (PluginRecord("cpu", "modelyard-cpu", "0.1", 1, PluginState.BROKEN, reason="why"),)

    async def build_engine_image(self, order: EngineImageOrder) -> AsyncIterator[Progress[EngineImage]]:
        self._note("build_engine_image", order)
        try:
            yield Progress("7 wheels")
            if order.tag == "endless":
                await asyncio.Event().wait()
            if order.tag == "gone":
                return
            yield Progress(result=attrs.evolve(ENGINE_IMAGE, tag=order.tag))
        finally:
            self.abandoned.set()

    async def devices(self) -> tuple[Device, ...]:
        self._note("devices")
        return (Device("cpu", "cpu", cores=2.0, numa_node=0, attributes={"simd": "avx"}),)

    async def doctor(self) -> tuple[Finding, ...]:
        self._note("doctor")
        return (Finding("disk", "cache", Severity.WARNING, "low", "free some"),)

    def forget(self) -> None:
        """Begin anew, for the next test."""
        fresh = FakeEngine()
        for field in attrs.fields(FakeEngine):
            setattr(self, field.name, getattr(fresh, field.name))


@attrs.frozen
class Served:
    """A fake engine behind the real server, and the real client of it."""

    engine: FakeEngine
    client: Client
    home: Home
    stops: list[ShutdownRequest]


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))  # socket paths are short
    home = find_home({"MODELYARD_HOME": str(folder)})
    home.create()
    yield home
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[tuple[FakeEngine, list[ShutdownRequest]]]:
    engine, stops = FakeEngine(), []
    ready, ending = threading.Event(), asyncio.Event()
    loop: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        server = ManagementServer(build_app(engine, shutdown=stops.append), home.controller_socket)
        await server.start()
        loop.append(asyncio.get_running_loop())
        ready.set()
        await ending.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield engine, stops
    loop.pop().call_soon_threadsafe(ending.set)
    thread.join(10)
    assert not home.controller_socket.exists()


@pytest.fixture
def served(home: Home, server: tuple[FakeEngine, list[ShutdownRequest]]) -> Iterator[Served]:
    engine, stops = server
    engine.forget()
    stops.clear()
    with Client(home, timeout_seconds=10) as client:
        yield Served(engine, client, home, stops)
