"""Why NVML did not answer: one fault each, with what it means and how to mend it."""

from __future__ import annotations

import enum

import attrs
from modelyard.api import Severity


class Fault(enum.Enum):
    """The ways in which NVML fails to start."""

    LIBRARY_NOT_FOUND = "library_not_found"
    DRIVER_NOT_LOADED = "driver_not_loaded"
    VERSION_MISMATCH = "version_mismatch"
    FUNCTION_NOT_FOUND = "function_not_found"
    NO_PERMISSION = "no_permission"
    OTHER = "other"


@attrs.frozen
class Advice:
    """What a fault means to whoever runs the machine."""

    severity: Severity
    message: str
    fix: str


ADVICE = {
    Fault.LIBRARY_NOT_FOUND: Advice(
        Severity.INFO,
        "no NVIDIA driver is installed: this is a CPU machine",
        "if it has an NVIDIA GPU, install the driver so that libnvidia-ml.so.1 is found",
    ),
    Fault.DRIVER_NOT_LOADED: Advice(
        Severity.ERROR,
        "the NVIDIA library is installed and its kernel driver is not loaded",
        "load it (`modprobe nvidia`) and look in `dmesg` for why it was not; a container needs the GPUs handed in",
    ),
    Fault.VERSION_MISMATCH: Advice(
        Severity.ERROR,
        "the NVIDIA library and the loaded kernel driver are of different versions",
        "reboot, or unload and load the nvidia kernel modules: the driver was upgraded while it ran",
    ),
    Fault.FUNCTION_NOT_FOUND: Advice(
        Severity.ERROR,
        "the NVIDIA driver is too old: its library lacks a function that is needed",
        "install driver 450 or newer",
    ),
    Fault.NO_PERMISSION: Advice(
        Severity.ERROR,
        "this user may not open the NVIDIA devices",
        "give this user access to /dev/nvidia* (often by membership of the group `video`)",
    ),
    Fault.OTHER: Advice(
        Severity.ERROR,
        "the NVIDIA driver does not answer",
        "run `nvidia-smi` and look in `dmesg` for lines with NVRM",
    ),
}


class NvmlFailed(Exception):
    """NVML could not be started; never leaves this plugin."""

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(text)
        self.fault = fault
        self.text = text

    @property
    def advice(self) -> Advice:
        """What to tell about it."""
        return ADVICE[self.fault]
