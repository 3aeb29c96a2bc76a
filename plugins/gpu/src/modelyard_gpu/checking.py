"""The check `gpu`: what the driver says, and every GPU with its health."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from modelyard.api import Device, DeviceHealth, Finding, Maturity, Severity

from modelyard_gpu import nvml
from modelyard_gpu.errors import Fault, NvmlFailed
from modelyard_gpu.judging import devices_of
from modelyard_gpu.readings import Reading

NAME = "gpu"
_MIB = 1024 * 1024


@attrs.frozen
class GpuCheck:
    """Looks at the driver and the GPUs; a machine without a driver is a CPU machine, not an error."""

    read: Callable[[], Reading] = attrs.field(default=nvml.read, repr=False)
    name: str = attrs.field(default=NAME, init=False)
    maturity: Maturity = attrs.field(default=Maturity.BETA, init=False)

    def run(self) -> tuple[Finding, ...]:
        """Look now."""
        try:
            reading = self.read()
        except NvmlFailed as failure:
            return (_driver_trouble(failure),)
        return (_driver_found(reading), *(_device(one) for one in devices_of(reading)))


def _driver_trouble(failure: NvmlFailed) -> Finding:
    advice = failure.advice
    detail = "" if failure.fault is Fault.LIBRARY_NOT_FOUND else f" ({failure.text})"
    return Finding(NAME, "driver", advice.severity, f"{advice.message}{detail}", advice.fix)


def _driver_found(reading: Reading) -> Finding:
    versions = f"NVIDIA driver {reading.driver}, CUDA up to {reading.cuda}"
    if not reading.gpus:
        return Finding(
            NAME, "driver", Severity.INFO, f"{versions}, no GPU", "if it has one, look for NVRM in `dmesg`"
        )
    return Finding(NAME, "driver", Severity.OK, f"{versions}, {len(reading.gpus)} GPU(s)")


def _device(device: Device) -> Finding:
    if device.health is DeviceHealth.UNHEALTHY:
        return Finding(
            NAME,
            device.id,
            Severity.WARNING,
            f"{device.model or 'GPU'}: {device.reason}",
            "it is granted to nobody until it is healthy; look in `dmesg` for Xid lines",
        )
    return Finding(NAME, device.id, Severity.OK, f"{device.model}, {device.memory_bytes // _MIB} MiB")
