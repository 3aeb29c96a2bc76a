"""Choose GPUs for one replica, or say with numbers why there are none.

Pure: sees the devices, the request and what is taken. The smallest device that suffices is taken, so
that large ones stay free; several are taken of one model and one NUMA node where possible.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence

import attrs
from modelyard.api import Device, DeviceGrant, DeviceHealth, DeviceRequest, Refusal

from modelyard_gpu.judging import PROFILE

BACKEND = "gpu"
_MIB = 1024 * 1024


@attrs.frozen
class Funnel:
    """Which devices are left after each question, in the order the questions are asked."""

    installed: Sequence[Device]
    of_model: Sequence[Device]
    roomy: Sequence[Device]
    healthy: Sequence[Device]
    joinable: Sequence[Device]
    free: Sequence[Device]


def grant(devices: Sequence[Device], request: DeviceRequest, in_use: frozenset[str]) -> DeviceGrant | Refusal:
    """Grant or refuse."""
    left = _sift(devices, request, in_use)
    if len(left.free) >= request.count:
        return _granted(_choose(left.free, request.count))
    return _refused(left, request)


def _sift(devices: Sequence[Device], request: DeviceRequest, in_use: frozenset[str]) -> Funnel:
    # a lost GPU may have told neither model nor memory: it counts until health is asked, so that the
    # refusal tells of it
    of_model = [one for one in devices if request.model.lower() in one.model.lower() or not one.model]
    roomy = [one for one in of_model if one.memory_bytes >= request.memory_bytes or not one.memory_bytes]
    healthy = [one for one in roomy if one.health is not DeviceHealth.UNHEALTHY]
    joinable = [one for one in healthy if request.count == 1 or PROFILE not in one.attributes]
    free = [one for one in joinable if one.id not in in_use]
    return Funnel(devices, of_model, roomy, healthy, joinable, free)


def _choose(free: Sequence[Device], count: int) -> list[Device]:
    ordered = sorted(free, key=lambda one: (one.memory_bytes, one.model, one.numa_node or 0, one.id))
    for alike in (_model_and_node, _model_alone):
        for group in _grouped(ordered, alike):
            if len(group) >= count:
                return group[:count]
    return ordered[:count]


def _model_and_node(device: Device) -> Hashable:
    return (device.model, device.memory_bytes, device.numa_node)


def _model_alone(device: Device) -> Hashable:
    return (device.model, device.memory_bytes)


def _grouped(ordered: Sequence[Device], key: Callable[[Device], Hashable]) -> list[list[Device]]:
    groups: dict[Hashable, list[Device]] = defaultdict(list)
    for device in ordered:
        groups[key(device)].append(device)
    return list(groups.values())


def _granted(chosen: Sequence[Device]) -> DeviceGrant:
    ids = tuple(device.id for device in chosen)
    listed = ",".join(ids)
    return DeviceGrant(
        backend=BACKEND,
        device_ids=ids,
        environment={
            # without it CUDA orders GPUs by speed and their numbers differ from everybody else's
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": listed,
            "NVIDIA_VISIBLE_DEVICES": listed,
        },
        docker_device_requests=({"Driver": "nvidia", "DeviceIDs": list(ids), "Capabilities": [["gpu"]]},),
        extended_resources=_resources(chosen),
    )


def _resources(chosen: Sequence[Device]) -> Mapping[str, int]:
    counted: dict[str, int] = defaultdict(int)
    for device in chosen:
        profile = device.attributes.get(PROFILE)
        counted[f"nvidia.com/mig-{profile}" if profile else "nvidia.com/gpu"] += 1
    return dict(counted)


def _refused(left: Funnel, request: DeviceRequest) -> Refusal:
    """Blame the first question after which too few were left."""
    largest_mib = max((one.memory_bytes for one in left.of_model), default=0) // _MIB
    ill = next((one for one in left.roomy if one.health is DeviceHealth.UNHEALTHY), None)
    stages = (
        (
            left.installed,
            "gpu_short",
            f"this machine has {_summary(left.installed)}",
            "run it on a machine with more, ask for fewer, or add `kind: cpu` to resources.accelerator",
        ),
        (
            left.of_model,
            "gpu_model",
            f"this machine has {_summary(left.installed)}",
            "ask for a model it has, or add another entry to resources.accelerator",
        ),
        (
            left.roomy,
            "gpu_memory",
            f"{len(left.roomy)} have so much, the largest {largest_mib} MiB",
            "ask for less memory, or add another entry to resources.accelerator",
        ),
        (
            left.healthy,
            "gpu_unhealthy",
            f"{len(left.healthy)} are healthy" + (f"; {ill.id}: {ill.reason}" if ill else ""),
            "mend the GPU (`engine doctor` tells more) and deploy again",
        ),
        (
            left.joinable,
            "gpu_slices",
            f"{len(left.joinable)} are whole, and a program sees one MIG slice at a time",
            "ask for one device with more memory, or switch MIG off on more GPUs",
        ),
        (
            left.free,
            "gpu_busy",
            f"{len(left.free)} of {len(left.joinable)} are free",
            "scale down or delete a service that holds one, or lower scaling.max",
        ),
    )
    code, why, remedy = next(rest for survivors, *rest in stages if len(survivors) < request.count)
    return Refusal(
        plugin=BACKEND,
        code=code,
        message=f"{_wanted(request)} asked; {why}",
        remedy=remedy,
        numbers=_numbers(left, request, largest_mib),
        retryable=code == "gpu_busy",
    )


def _numbers(left: Funnel, request: DeviceRequest, largest_mib: int) -> Mapping[str, float]:
    return {
        "asked_gpus": float(request.count),
        "asked_mib": float(request.memory_bytes // _MIB),
        "installed_gpus": float(len(left.installed)),
        "healthy_gpus": float(len(left.healthy)),
        "free_gpus": float(len(left.free)),
        "largest_mib": float(largest_mib),
    }


def _wanted(request: DeviceRequest) -> str:
    model = f" {request.model}" if request.model else ""
    memory = f" of {request.memory_bytes // _MIB} MiB" if request.memory_bytes else ""
    return f"{request.count}{model} GPU{'s' if request.count != 1 else ''}{memory}"


def _summary(devices: Sequence[Device]) -> str:
    counted: dict[str, int] = defaultdict(int)
    for device in devices:
        counted[device.model or "unreadable GPU"] += 1
    return ", ".join(f"{number} x {model}" for model, number in sorted(counted.items())) or "none"
