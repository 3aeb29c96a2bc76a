"""What a daemon tells, as values. Pure: every reader takes what the API answered and trusts none of it."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any

import attrs

from modelyard.api import NotFound, SystemError_

Answer = Mapping[str, Any]
"""One JSON object of the API's."""


class Absent(NotFound):
    """The daemon has no such container, network or image."""


class NameTaken(SystemError_):
    """Somebody else made a container of this name first."""

    code = "name_taken"


class State(enum.Enum):
    """The states of a container, by Docker's own words; UNKNOWN is one that this release does not know."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> State:
        del value
        return cls.UNKNOWN


@attrs.frozen
class Container:
    """A container as a list shows it: one call tells of all of them."""

    id: str
    name: str
    labels: Mapping[str, str]
    state: State
    image: str
    """Its image's id."""
    created_at: float
    """Unix seconds, whole ones."""
    address: str = ""
    """Its IPv4 address on its network; empty while it does not run."""


@attrs.frozen
class Inspected:
    """What only the container itself tells."""

    pid: int | None
    restarts: int
    exit_code: int
    killed_for_memory: bool
    error: str
    """Why the daemon could not start it."""
    started_at: float
    """Unix seconds; 0 = never."""
    stop_seconds: float


@attrs.frozen
class DaemonFacts:
    """What the daemon tells of itself and of its machine."""

    version: str
    api_version: tuple[int, int]
    cores: int
    memory_bytes: int
    storage_driver: str
    root: str
    """The folder it keeps images and containers in."""
    live_restore: bool
    rootless: bool
    has_memory_limits: bool
    has_cpu_limits: bool
    containerd_images: bool
    """Whether images lie in containerd's store: their ids are digests of manifests then."""


def container_of(answer: Answer) -> Container:
    """Read one entry of the list."""
    names = answer.get("Names") or [""]
    networks = (answer.get("NetworkSettings") or {}).get("Networks") or {}
    addresses = (one.get("IPAddress") for one in networks.values() if one)
    return Container(
        id=str(answer["Id"]),
        name=str(names[0]).lstrip("/"),
        labels=dict(answer.get("Labels") or {}),
        state=State(answer.get("State")),
        image=str(answer.get("ImageID", "")),
        created_at=float(answer.get("Created", 0)),
        address=next((str(address) for address in addresses if address), ""),
    )


def inspected_of(answer: Answer) -> Inspected:
    """Read one container's own words."""
    state = answer.get("State") or {}
    config = answer.get("Config") or {}
    return Inspected(
        pid=int(state.get("Pid") or 0) or None,
        restarts=int(answer.get("RestartCount") or 0),
        exit_code=int(state.get("ExitCode") or 0),
        killed_for_memory=bool(state.get("OOMKilled")),
        error=str(state.get("Error") or ""),
        started_at=unix_seconds(str(state.get("StartedAt") or "")),
        stop_seconds=float(config.get("StopTimeout") or 10),
    )


def facts_of(version: Answer, info: Answer) -> DaemonFacts:
    """Read what `/version` and `/info` answered."""
    major, _, minor = str(version["ApiVersion"]).partition(".")
    status = {str(line[0]): str(line[1]) for line in info.get("DriverStatus") or () if len(line) > 1}
    return DaemonFacts(
        version=str(version["Version"]),
        api_version=(int(major), int(minor)),
        cores=int(info.get("NCPU") or 1),
        memory_bytes=int(info.get("MemTotal") or 0),
        storage_driver=str(info.get("Driver", "")),
        root=str(info.get("DockerRootDir", "")),
        live_restore=bool(info.get("LiveRestoreEnabled")),
        rootless=any("rootless" in str(option) for option in info.get("SecurityOptions") or ()),
        has_memory_limits=bool(info.get("MemoryLimit")),
        has_cpu_limits=bool(info.get("CpuCfsQuota")),
        containerd_images="snapshotter" in status.get("driver-type", ""),
    )


def unix_seconds(text: str) -> float:
    """Read a time as Docker writes it (nanoseconds, `Z` or an offset); 0 = never, or no time at all."""
    try:
        moment = dt.datetime.fromisoformat(text)  # digits beyond microseconds are cut off
    except ValueError:
        return 0.0
    return max(moment.timestamp(), 0.0) if moment.tzinfo is not None else 0.0
