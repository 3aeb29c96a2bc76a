"""A container to be, as a value, and how the API wants it said. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

_PERIOD_MICROSECONDS = 100_000
_NANOSECONDS = 1_000_000_000


@attrs.frozen
class Tmpfs:
    """A folder in memory, gone with the container; its bytes count as the container's memory."""

    path: str
    size_bytes: int
    mode: str
    owner: int | None = None
    """User and group of that number; None = root."""


@attrs.frozen
class Bind:
    """A file or folder of the machine, seen inside."""

    source: str
    target: str
    read_only: bool = True


@attrs.frozen
class DeviceNode:
    """A device of the machine (`/dev/xdma0`), seen inside under the same name."""

    path: str
    group: int | None = None
    """The group that may use it, which the container's user then joins."""


@attrs.frozen
class Health:
    """The command that says whether the container is well, and how often it is asked."""

    command: tuple[str, ...]
    period_seconds: float
    timeout_seconds: float
    start_seconds: float
    failures: int


@attrs.frozen(kw_only=True)
class Order:
    """Everything that a container is made of. None and 0 mean no limit."""

    name: str
    hostname: str
    image: str
    """The image's id: what a tag means may change."""
    command: tuple[str, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    user: str
    folder: str
    network: str
    stop_seconds: int
    health: Health
    tmpfs: tuple[Tmpfs, ...]
    shared_memory_bytes: int
    memory_bytes: int = 0
    """Kept for it when memory is short."""
    memory_limit_bytes: int | None = None
    cpu_millicores: int = 0
    """Its share when cores are short."""
    cpu_limit_millicores: int | None = None
    processes: int
    log_bytes: int
    log_files: int
    binds: tuple[Bind, ...] = ()
    devices: tuple[DeviceNode, ...] = ()
    device_requests: tuple[Mapping[str, object], ...] = ()
    """As the API takes them: Driver, Count, DeviceIDs, Capabilities, Options."""


def api_config(order: Order) -> dict[str, Any]:
    """Say an order as `POST /containers/create` wants it."""
    return {
        "Hostname": order.hostname,
        "User": order.user,
        "Image": order.image,
        "Entrypoint": list(order.command),
        "Cmd": [],
        "WorkingDir": order.folder,
        "Env": [f"{name}={value}" for name, value in sorted(order.environment.items())],
        "Labels": dict(order.labels),
        "StopSignal": "SIGTERM",
        "StopTimeout": order.stop_seconds,
        "Healthcheck": _health(order.health),
        "HostConfig": {**_HARDENED, **_limits(order), **_attached(order)},
    }


_HARDENED: Mapping[str, object] = {
    "ReadonlyRootfs": True,
    "CapDrop": ["ALL"],
    "SecurityOpt": ["no-new-privileges:true"],
    "Privileged": False,
    "IpcMode": "private",
    # the parent is made to be the first process: it reaps what others leave behind
    "Init": False,
    "RestartPolicy": {"Name": "unless-stopped"},
}


def _limits(order: Order) -> dict[str, object]:
    limits: dict[str, object] = {
        "CpuShares": max(order.cpu_millicores * 1024 // 1000, 2),
        "PidsLimit": order.processes,
        "ShmSize": order.shared_memory_bytes,
        # of open files the daemon's own limit holds: a higher one is refused where it may not raise its own
        "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
    }
    if order.cpu_limit_millicores:
        quota = order.cpu_limit_millicores * _PERIOD_MICROSECONDS // 1000
        limits |= {"CpuPeriod": _PERIOD_MICROSECONDS, "CpuQuota": max(quota, 1000)}
    if order.memory_limit_bytes:
        # the same number twice: no swap on top
        limits |= {"Memory": order.memory_limit_bytes, "MemorySwap": order.memory_limit_bytes}
    if order.memory_bytes:
        limits["MemoryReservation"] = min(order.memory_bytes, order.memory_limit_bytes or order.memory_bytes)
    return limits


def _attached(order: Order) -> dict[str, object]:
    groups = sorted({one.group for one in order.devices if one.group is not None})
    return {
        "NetworkMode": order.network,
        "LogConfig": {
            "Type": "local",
            "Config": {"max-size": str(order.log_bytes), "max-file": str(order.log_files)},
        },
        "Tmpfs": {one.path: _tmpfs(one) for one in order.tmpfs},
        "Mounts": [
            {"Type": "bind", "Source": one.source, "Target": one.target, "ReadOnly": one.read_only}
            for one in order.binds
        ],
        "Devices": [
            {"PathOnHost": one.path, "PathInContainer": one.path, "CgroupPermissions": "rw"}
            for one in order.devices
        ],
        "GroupAdd": [str(group) for group in groups],
        "DeviceRequests": [dict(one) for one in order.device_requests],
    }


def _tmpfs(one: Tmpfs) -> str:
    owner = f",uid={one.owner},gid={one.owner}" if one.owner is not None else ""
    return f"rw,nosuid,nodev,size={one.size_bytes},mode={one.mode}{owner}"


def _health(health: Health) -> dict[str, object]:
    def nanoseconds(seconds: float) -> int:
        return math.ceil(seconds * _NANOSECONDS)

    return {
        "Test": ["CMD", *health.command],
        "Interval": nanoseconds(health.period_seconds),
        "Timeout": nanoseconds(health.timeout_seconds),
        "StartPeriod": nanoseconds(health.start_seconds),
        "Retries": health.failures,
    }
