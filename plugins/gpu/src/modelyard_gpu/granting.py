"""Choose GPUs for one replica, or say with numbers why there are none.

Pure: sees the devices, the request and what is taken. The smallest device that suffices is taken, so
that large ones stay free; several are taken of one model and one NUMA node where possible.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence

from modelyard.api import Device, DeviceGrant, DeviceHealth, DeviceRequest, Refusal

from modelyard_gpu.judging import PROFILE

BACKEND = "gpu"
_MIB = 1024 * 1024


def grant(devices: Sequence[Device], request: DeviceRequest, in_use: frozenset[str]) -> DeviceGrant | Refusal:
    """Grant or refuse."""
    fitting = [one for one in devices if _is_model(one, request)]
    roomy = [one for one in fitting if one.memory_bytes >= request.memory_bytes]
    usable = [one for one in roomy if one.health is not DeviceHealth.UNHEALTHY]
    joinable = [one for one in usable if request.count == 1 or PROFILE not in one.attributes]
    free = [one for one in joinable if one.id not in in_use]
    if len(free) >= request.count:
        return _granted(_choose(free, request.count))
    return _refused(request, devices, fitting, roomy, usable, joinable, free)


def _is_model(device: Device, request: DeviceRequest) -> bool:
    # a lost GPU may not have told its model: it counts, so that the refusal tells of it
    return request.model.lower() in device.model.lower() or not device.model


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


def _refused(  # noqa: PLR0913, PLR0917  each filter's survivors, in their order
    request: DeviceRequest,
    devices: Sequence[Device],
    fitting: Sequence[Device],
    roomy: Sequence[Device],
    usable: Sequence[Device],
    joinable: Sequence[Device],
    free: Sequence[Device],
) -> Refusal:
    """Blame the first filter after which too few were left."""
    asked, wanted = request.count, _wanted(request)
    numbers = {
        "asked_gpus": float(asked),
        "installed_gpus": float(len(devices)),
        "fitting_gpus": float(len(roomy)),
        "healthy_gpus": float(len(usable)),
        "free_gpus": float(len(free)),
    }
    if not devices:
        return _no(
            "gpu_absent",
            f"{wanted} asked, this machine has none",
            "run it on a machine with GPUs, or add `kind: cpu` to resources.accelerator",
            numbers,
        )
    if len(fitting) < asked:
        return _no(
            "gpu_model",
            f"{wanted} asked, this machine has {_summary(devices)}",
            "ask for a model and a number it has, or add another entry to resources.accelerator",
            numbers,
        )
    if len(roomy) < asked:
        largest = max(one.memory_bytes for one in fitting) // _MIB
        return _no(
            "gpu_memory",
            f"{wanted} asked, the largest has {largest} MiB",
            "ask for less memory, or add another entry to resources.accelerator",
            {**numbers, "asked_mib": float(request.memory_bytes // _MIB), "largest_mib": float(largest)},
        )
    if len(usable) < asked:
        ill = next(one for one in roomy if one.health is DeviceHealth.UNHEALTHY)
        return _no(
            "gpu_unhealthy",
            f"{wanted} asked, {len(usable)} healthy; {ill.id}: {ill.reason}",
            "mend the GPU (`engine doctor` tells how) and deploy again",
            numbers,
        )
    if len(joinable) < asked:
        return _no(
            "gpu_slices",
            f"{wanted} asked, {len(joinable)} are whole: a program sees one MIG slice at a time",
            "ask for one device with more memory, or switch MIG off on more GPUs",
            numbers,
        )
    return _no(
        "gpu_busy",
        f"{wanted} asked, {len(free)} of {len(joinable)} free",
        "scale down or delete a service that holds one, or lower scaling.max",
        numbers,
        retryable=True,
    )


def _no(
    code: str, message: str, remedy: str, numbers: Mapping[str, float], *, retryable: bool = False
) -> Refusal:
    return Refusal(
        plugin=BACKEND, code=code, message=message, remedy=remedy, numbers=numbers, retryable=retryable
    )


def _wanted(request: DeviceRequest) -> str:
    model = f" {request.model}" if request.model else ""
    memory = f" of {request.memory_bytes // _MIB} MiB" if request.memory_bytes else ""
    return f"{request.count}{model} GPU{'s' if request.count != 1 else ''}{memory}"


def _summary(devices: Sequence[Device]) -> str:
    counted: dict[str, int] = defaultdict(int)
    for device in devices:
        counted[device.model or "unreadable GPU"] += 1
    return ", ".join(f"{number} x {model}" for model, number in sorted(counted.items()))
