"""What the routes need of an engine; `modelyard.controller.Controller` is one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from litestar.datastructures import State

from modelyard.api import (
    Device,
    EngineImage,
    EngineImageOrder,
    EngineStatus,
    Finding,
    ImageDetails,
    ImageOutlook,
    ImageSummary,
    KeyPair,
    KeySlot,
    LockReport,
    Operation,
    Plan,
    PluginRecord,
    Progress,
    PruneReport,
    ScalingRecord,
    Secret,
    ServiceSpec,
    ServiceView,
    TransferReport,
)
from modelyard.client.requests import ShutdownRequest


class ManagedImages(Protocol):
    """What `engine images` asks; what yields `Progress` ends with its result, and stops when nobody listens."""

    async def list(self, registry: str) -> tuple[ImageSummary, ...]:
        """List a registry's images; empty = the workspace's."""
        ...

    async def show(self, name: str) -> ImageDetails:
        """Show one image."""
        ...

    async def why(self, spec: ServiceSpec) -> ImageOutlook:
        """Say whether a deploy would find its image."""
        ...

    def lock(self, spec: ServiceSpec, *, platform: str) -> AsyncIterator[Progress[LockReport]]:
        """Solve what is unsolved and keep the locks."""
        ...

    def refresh(
        self, spec: ServiceSpec, *, platform: str, dry_run: bool, expected: str
    ) -> AsyncIterator[Progress[LockReport]]:
        """Solve again."""
        ...

    def pull(self, reference: str, *, key: str) -> AsyncIterator[Progress[TransferReport]]:
        """Copy an image into the workspace's registry."""
        ...

    def push(self, key: str, *, registry: str) -> AsyncIterator[Progress[TransferReport]]:
        """Copy an image to another registry."""
        ...

    def prune(self, *, keep_days: float, dry_run: bool) -> AsyncIterator[Progress[PruneReport]]:
        """Remove what nobody needs."""
        ...


class ManagedEngine(Protocol):
    """Everything the management interface can ask for; errors are those of `modelyard.api`."""

    @property
    def images(self) -> ManagedImages:
        """Images and locks."""
        ...

    def status(self) -> EngineStatus:
        """Say what runs."""
        ...

    async def plan(self, spec: ServiceSpec, *, frozen: bool = False) -> Plan:
        """Say what a deploy would do."""
        ...

    async def deploy(self, spec: ServiceSpec, *, frozen: bool = False) -> Operation:
        """Start a deploy."""
        ...

    def operation(self, operation_id: str) -> Operation:
        """Look at an operation."""
        ...

    def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        """Yield each change until it is finished."""
        ...

    async def cancel(self, operation_id: str) -> Operation:
        """Ask for an end."""
        ...

    def services(self) -> tuple[ServiceView, ...]:
        """List the services."""
        ...

    def service(self, name: str) -> ServiceView:
        """Show one service."""
        ...

    async def rollback(self, name: str, revision: int | None) -> Operation:
        """Go back to a revision."""
        ...

    async def scale(
        self, name: str, *, minimum: int | None, maximum: int | None, replicas: int | None
    ) -> Operation:
        """Change the bounds."""
        ...

    async def delete(self, name: str) -> Operation:
        """Remove a service."""
        ...

    def keys(self, name: str) -> KeyPair:
        """Give the clear keys."""
        ...

    async def rotate_key(self, name: str, slot: KeySlot, value: Secret | None) -> KeyPair:
        """Replace one key."""
        ...

    def logs(self, name: str, *, replica: str | None, lines: int, follow: bool) -> AsyncIterator[str]:
        """Yield log lines."""
        ...

    def scaling(self, name: str) -> tuple[ScalingRecord, ...]:
        """List scaler decisions."""
        ...

    def plugins(self) -> tuple[PluginRecord, ...]:
        """List the plugins."""
        ...

    def build_engine_image(self, order: EngineImageOrder) -> AsyncIterator[Progress[EngineImage]]:
        """Yield each step of building the engine's own image, and last the image."""
        ...

    async def devices(self) -> tuple[Device, ...]:
        """List the devices."""
        ...

    async def doctor(self) -> tuple[Finding, ...]:
        """Run the checks."""
        ...


class ServedState(State):
    """What every handler gets as `state`: the engine, and how to end it."""

    engine: ManagedEngine
    shutdown: Callable[[ShutdownRequest], None]
    """Tells the daemon to end; returns at once."""
