"""Turn a reading into devices, each with its health and the reason.

Pure. A GPU in MIG mode is not a device itself: its slices are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from modelyard.api import Device, DeviceHealth

from modelyard_gpu.readings import GpuReading, Reading, SliceReading

KIND = "gpu"
PROFILE = "mig_profile"
"""Attribute of a slice: its profile, as in `1g.10gb`."""

_PROFILE = re.compile(r"\bMIG (\S+)\s*$")


def devices_of(reading: Reading) -> tuple[Device, ...]:
    """List every device, unhealthy ones included."""
    return tuple(device for gpu in reading.gpus for device in _devices(gpu, reading))


def _devices(gpu: GpuReading, reading: Reading) -> tuple[Device, ...]:
    if gpu.mig and gpu.slices and not gpu.fault:
        return tuple(_slice(one, gpu, reading) for one in gpu.slices)
    return (_whole(gpu, reading),)


def _whole(gpu: GpuReading, reading: Reading) -> Device:
    reason = _complaint(gpu)
    return Device(
        # a GPU lost before it told its UUID is known by its number until the next boot
        id=gpu.uuid or f"gpu-{gpu.index}",
        kind=KIND,
        model=gpu.name,
        memory_bytes=gpu.memory_bytes,
        numa_node=gpu.numa_node,
        health=DeviceHealth.UNHEALTHY if reason else DeviceHealth.HEALTHY,
        reason=reason,
        attributes=_attributes(gpu, reading),
    )


def _slice(one: SliceReading, gpu: GpuReading, reading: Reading) -> Device:
    reason = _complaint(gpu)
    found = _PROFILE.search(one.name)
    return Device(
        id=one.uuid,
        kind=KIND,
        model=one.name,
        memory_bytes=one.memory_bytes,
        numa_node=gpu.numa_node,
        health=DeviceHealth.UNHEALTHY if reason else DeviceHealth.HEALTHY,
        reason=reason,
        attributes={
            **_attributes(gpu, reading),
            "parent": gpu.uuid,
            PROFILE: found[1].replace("+", ".") if found else "unknown",
        },
    )


def _complaint(gpu: GpuReading) -> str:
    if gpu.fault:
        return gpu.fault
    if gpu.uncorrected_errors:
        return f"{gpu.uncorrected_errors} uncorrected ECC errors since the driver was loaded; reset the GPU"
    if gpu.mig and not gpu.slices:
        return "MIG mode is on and no instance exists; create some (`nvidia-smi mig -cgi 1g.10gb -C`)"
    return ""


def _attributes(gpu: GpuReading, reading: Reading) -> Mapping[str, str]:
    told = {
        "index": str(gpu.index),
        "pci_bus_id": gpu.pci_bus_id,
        "compute_capability": gpu.compute_capability,
        "driver": reading.driver,
        "cuda": reading.cuda,
    }
    return {key: value for key, value in told.items() if value}
