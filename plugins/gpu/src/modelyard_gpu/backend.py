"""The device backend `gpu`: reads through NVML, judges, grants. Keeps no state."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from modelyard.api import Device, DeviceGrant, DeviceRequest, Maturity, Refusal

from modelyard_gpu import nvml
from modelyard_gpu.errors import Fault, NvmlFailed
from modelyard_gpu.granting import BACKEND, grant
from modelyard_gpu.judging import KIND, devices_of
from modelyard_gpu.readings import Reading


@attrs.frozen
class GpuBackend:
    """NVIDIA GPUs of this machine. `read` looks at them; tests hand in their own."""

    read: Callable[[], Reading] = attrs.field(default=nvml.read, repr=False)
    name: str = attrs.field(default=BACKEND, init=False)
    kind: str = attrs.field(default=KIND, init=False)
    maturity: Maturity = attrs.field(default=Maturity.BETA, init=False)

    def discover(self) -> tuple[Device, ...]:
        """List every GPU and MIG slice; none on a machine whose driver is absent or does not answer."""
        try:
            return devices_of(self.read())
        except NvmlFailed:
            return ()  # `engine doctor` tells why: the check reads the same fault

    def request(self, request: DeviceRequest, in_use: frozenset[str]) -> DeviceGrant | Refusal:
        """Choose GPUs for one replica, or say why there are none."""
        try:
            return grant(devices_of(self.read()), request, in_use)
        except NvmlFailed as failure:
            if failure.fault is Fault.LIBRARY_NOT_FOUND:
                return grant((), request, in_use)
            return _driver_refusal(failure, request)

    def health(self) -> tuple[Device, ...]:
        """Look again: health is never remembered, so a GPU that was reset is healthy at once."""
        return self.discover()


def _driver_refusal(failure: NvmlFailed, request: DeviceRequest) -> Refusal:
    return Refusal(
        plugin=BACKEND,
        code="gpu_driver",
        message=f"{failure.advice.message} ({failure.text})",
        remedy=failure.advice.fix,
        numbers={"asked_gpus": float(request.count), "installed_gpus": 0.0},
    )
