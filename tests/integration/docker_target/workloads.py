"""Workloads of images that the testbed makes."""

from __future__ import annotations

from typing import Any

import attrs
from modelyard.api import CodeRef, DeviceGrant, ImageRef, ReplicaPlan, ServiceSpec, Workload

from tests.testbed.service_image import CODE, ENVIRONMENT

REPLICA = "digits-r1-abc123"


def workload_of(image: ImageRef, *names: str, **spec: Any) -> Workload:
    """A workload of that image, with these replicas."""
    given = ServiceSpec(name="digits", code=CodeRef(source="/nowhere", entry="score.py"))
    plans = tuple(ReplicaPlan(name, "here", DeviceGrant(backend="cpu")) for name in names or (REPLICA,))
    return Workload(
        spec=attrs.evolve(given, **spec),
        revision=1,
        environment=ENVIRONMENT,
        code_dir=CODE,
        model_dir="",
        replicas=plans,
        image=image,
    )
