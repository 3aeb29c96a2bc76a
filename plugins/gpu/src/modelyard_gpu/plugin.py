"""Hook implementations of the gpu plugin; the work is in `backend` and `checking`."""

from __future__ import annotations

from modelyard.api import Check, DeviceBackend, Maturity
from modelyard.hookspecs import hookimpl

from modelyard_gpu.backend import GpuBackend
from modelyard_gpu.checking import GpuCheck

api_level = 1
maturity = Maturity.BETA


@hookimpl
def offer_devices() -> list[DeviceBackend]:
    """Offer NVIDIA GPUs."""
    return [GpuBackend()]


@hookimpl
def offer_checks() -> list[Check]:
    """Offer a look at the driver and at every GPU."""
    return [GpuCheck()]
