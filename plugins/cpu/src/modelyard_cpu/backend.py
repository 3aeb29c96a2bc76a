"""The device backend `cpu`: one device, the whole machine, shared by all replicas."""

from __future__ import annotations

import math

import attrs
from modelyard.api import Device, DeviceGrant, DeviceHealth, DeviceRequest, Maturity, Refusal

from modelyard_cpu import placing
from modelyard_cpu.machine import Machine, MachineReader

DEVICE_ID = "cpu"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""What the thread pools of numeric libraries read; they would else take every core of the machine."""

NO_GPU = {"NVIDIA_VISIBLE_DEVICES": "void", "CUDA_VISIBLE_DEVICES": ""}
"""A replica that was granted cores alone must not see a GPU that belongs to another."""


@attrs.frozen
class CpuBackend:
    """Grants cores by telling thread pools how many there are; the scheduler shares them out."""

    reader: MachineReader = attrs.field(factory=MachineReader)
    name: str = "cpu"
    kind: str = "cpu"
    maturity: Maturity = Maturity.BETA

    def discover(self) -> tuple[Device, ...]:
        """Give the one device."""
        return (describe(self.reader.read()),)

    def health(self) -> tuple[Device, ...]:
        """Give the one device: code that runs has a healthy CPU."""
        return self.discover()

    def request(self, request: DeviceRequest, in_use: frozenset[str]) -> DeviceGrant | Refusal:  # noqa: ARG002  a CPU is shared
        """Grant cores unless more are asked than the whole machine has."""
        return refuse(request, self.reader.read()) or grant(request)


def describe(machine: Machine) -> Device:
    """Turn what was read into the device."""
    limits = machine.limits
    attributes = {"simd": " ".join(machine.simd), "cgroup": " ".join(limits.versions)}
    if limits.cpu_millicores is not None:
        attributes["cgroup_millicores"] = str(limits.cpu_millicores)
    if limits.memory_bytes is not None:
        attributes["cgroup_memory_bytes"] = str(limits.memory_bytes)
    return Device(
        id=DEVICE_ID,
        kind="cpu",
        model=machine.model,
        memory_bytes=machine.memory_bytes,
        cores=machine.millicores / 1000,
        health=DeviceHealth.HEALTHY,
        attributes={name: value for name, value in attributes.items() if value},
    )


def refuse(request: DeviceRequest, machine: Machine) -> Refusal | None:
    """Refuse what the machine could not give even if it were idle."""
    if request.count != 1:
        return _refuse_count(request.count)
    if request.model.lower() not in machine.model.lower():
        return _refuse_model(request.model, machine)
    if request.cpu_millicores > machine.millicores:
        return placing.cpu_short("this machine", request.cpu_millicores, machine.millicores)
    memory = max(request.ram_bytes, request.memory_bytes)
    if memory > machine.memory_bytes:
        return placing.memory_short("this machine", memory, machine.memory_bytes)
    return None


def grant(request: DeviceRequest) -> DeviceGrant:
    """Tell thread pools their size: the limit where there is one, else what was asked, never under one."""
    threads = max(1, math.ceil((request.cpu_limit_millicores or request.cpu_millicores) / 1000))
    return DeviceGrant(
        backend="cpu",
        device_ids=(DEVICE_ID,),
        environment={**dict.fromkeys(THREAD_VARIABLES, str(threads)), **NO_GPU},
    )


def _refuse_count(count: int) -> Refusal:
    return Refusal(
        plugin="cpu",
        code="cpu_count",
        message=f"{count} CPU devices asked; all cores of a machine are one device",
        remedy="ask for cores under resources.cpu and leave the accelerator's count at 1",
        numbers={"asked": count, "free": 1},
    )


def _refuse_model(model: str, machine: Machine) -> Refusal:
    return Refusal(
        plugin="cpu",
        code="cpu_model",
        message=f"a CPU of model {model!r} asked; this one is {machine.model or 'unknown'!r}",
        remedy="leave the accelerator's model out, or name a part of the model's name",
    )
