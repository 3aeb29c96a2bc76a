"""NVIDIA GPUs: discovered, judged and granted by UUID, whole or as MIG slices.

`nvml` is the only module that speaks to the driver's library; `granting` and `judging` are pure.
Imports modelyard's public names only (`modelyard.api`, `modelyard.hookspecs`).
"""

from modelyard_gpu.backend import GpuBackend
from modelyard_gpu.checking import GpuCheck

__all__ = ["GpuBackend", "GpuCheck"]
