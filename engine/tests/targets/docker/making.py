"""A workload with an image, and containers as a daemon would show them."""

from __future__ import annotations

from typing import Any

import attrs
from modelyard.api import CodeRef, DeviceGrant, ImageRef, ReplicaPlan, ServiceSpec, Workload
from modelyard.containers import Container, Inspected, State
from modelyard.targets.docker.labels import Identity, container_name, labels_of
from modelyard.targets.replicas import Granted
from modelyard_runtime.contract import ReplicaStatus

REPLICA = "digits-r1-abc123"
IMAGE = ImageRef("oci-layout", "services/digits", "sha256:" + "a" * 64)
IDENTITY = Identity("0123456789", "digits", 1, REPLICA)
NOW = 1_800_000_000.0


def workload(*, grant: DeviceGrant | None = None, **spec: Any) -> Workload:
    given = ServiceSpec(name="digits", code=CodeRef(source="/home/me", entry="score.py", sample="s.json"))
    return Workload(
        spec=attrs.evolve(given, **spec),
        revision=1,
        environment="/opt/modelyard/env",
        code_dir="/opt/modelyard/code",
        model_dir="",
        replicas=(ReplicaPlan(REPLICA, "here", grant or DeviceGrant(backend="cpu")),),
        image=IMAGE,
    )


def container(state: State = State.RUNNING, **more: Any) -> Container:
    labels = labels_of(IDENTITY, Granted("here", ("gpu-1",), 100, 512))
    made = Container(
        id="c" * 64,
        name=container_name("0123456789", REPLICA),
        labels=labels,
        state=state,
        image="sha256:1",
        created_at=NOW - 100,
        address="10.1.2.3" if state is State.RUNNING else "",
    )
    return attrs.evolve(made, **more)


def inspected(**more: Any) -> Inspected:
    made = Inspected(
        pid=7,
        restarts=0,
        exit_code=0,
        killed_for_memory=False,
        error="",
        started_at=NOW - 100,
        stop_seconds=70,
    )
    return attrs.evolve(made, **more)


def status(**more: Any) -> ReplicaStatus:
    told: dict[str, Any] = {
        "service": "digits",
        "revision": 1,
        "replica": REPLICA,
        "phase": "ready",
        "parent_pid": 1,
        "parent_start_ticks": 2,
        "started_at": NOW - 99,
        "resident_bytes": 5,
        "running": 0,
        "queued": 0,
    }
    return ReplicaStatus(**(told | more))
