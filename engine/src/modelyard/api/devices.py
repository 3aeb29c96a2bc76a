"""Devices: what a machine has, what a replica asks for, what it is granted."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import attrs

from modelyard.api.plugins import Maturity
from modelyard.api.refusals import Refusal


class DeviceHealth(enum.Enum):
    """HEALTHY may be granted, UNHEALTHY may not, UNKNOWN was not judged."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@attrs.frozen
class Device:
    """One allocatable thing: all cores of a machine, one GPU, one MIG slice, one FPGA card."""

    id: str
    kind: str
    """`cpu`, `gpu` or `fpga`, or the kind a third-party backend names."""
    model: str = ""
    memory_bytes: int = 0
    cores: float = 0.0
    numa_node: int | None = None
    health: DeviceHealth = DeviceHealth.UNKNOWN
    reason: str = ""
    """Why it is not healthy; empty when it is."""
    attributes: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class DeviceRequest:
    """One entry of the spec's accelerator preference list, plus the replica's CPU and memory."""

    kind: str = "cpu"
    model: str = ""
    """Case-insensitive part of the device's model name; empty = any."""
    count: int = 1
    memory_bytes: int = 0
    """Least device memory, bytes; 0 = any."""
    cpu_millicores: int = 100
    ram_bytes: int = 0
    cpu_limit_millicores: int | None = None
    ram_limit_bytes: int | None = None


@attrs.frozen
class DeviceGrant:
    """What a replica may use, said once for every kind of target."""

    backend: str
    device_ids: tuple[str, ...] = ()
    environment: Mapping[str, str] = attrs.field(factory=dict)
    mounts: tuple[str, ...] = ()
    device_nodes: tuple[str, ...] = ()
    cdi_names: tuple[str, ...] = ()
    docker_device_requests: tuple[Mapping[str, object], ...] = ()
    extended_resources: Mapping[str, int] = attrs.field(factory=dict)
    node_selectors: Mapping[str, str] = attrs.field(factory=dict)
    tolerations: tuple[Mapping[str, str], ...] = ()


@runtime_checkable
class DeviceBackend(Protocol):
    """Discovers one kind of device on this machine, grants it, and reports its health.

    All methods are synchronous, quick (under 2 s) and safe to call from a worker thread.
    """

    @property
    def name(self) -> str:
        """The record's name, unique among device backends: `cpu`, `gpu`, `fpga`."""
        ...

    @property
    def kind(self) -> str:
        """The `kind` of spec requests this backend answers."""
        ...

    @property
    def maturity(self) -> Maturity:
        """How far this backend may be relied on."""
        ...

    def discover(self) -> tuple[Device, ...]:
        """List every device, unhealthy ones included; empty on a machine that has none."""
        ...

    def request(self, request: DeviceRequest, in_use: frozenset[str]) -> DeviceGrant | Refusal:
        """Choose devices for one replica among those not `in_use`; pure with respect to state.

        The engine's ledger, not the backend, remembers grants. `in_use` has device ids.
        """
        ...

    def health(self) -> tuple[Device, ...]:
        """Discover again, judging each device's health now."""
        ...
