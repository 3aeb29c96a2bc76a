"""The machine's cores and memory as a device, seen through every cgroup limit.

Here lives what reads `/proc` and cgroups and judges places by cores and memory; accelerators never do.
May import `modelyard.api` and the hook marker.
"""

from modelyard_cpu.backend import CpuBackend
from modelyard_cpu.check import CpuCheck
from modelyard_cpu.machine import MachineReader

__all__ = ["CpuBackend", "CpuCheck", "MachineReader"]
