"""The facade of the driver's library: the only module that imports `pynvml`.

Every look starts NVML, reads and shuts it down: nothing is held, so a driver can be replaced and a
lost GPU comes back without a restart of the engine. A GPU that fails is reported; it hides no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import attrs

from modelyard_gpu.errors import Fault, NvmlFailed
from modelyard_gpu.readings import GpuReading, Reading, SliceReading

PCI_DEVICES = Path("/sys/bus/pci/devices")

Answer = TypeVar("Answer")


def read(pci_devices: Path = PCI_DEVICES) -> Reading:
    """Look at every GPU now; raises `NvmlFailed` when NVML does not start."""
    with _started() as nvml:
        return Reading(
            driver=str(_optional(nvml, nvml.nvmlSystemGetDriverVersion, "")),
            cuda=_cuda(int(_optional(nvml, nvml.nvmlSystemGetCudaDriverVersion_v2, 0))),
            gpus=tuple(_read_gpu(nvml, index, pci_devices) for index in range(_count(nvml))),
        )


@contextmanager
def _started() -> Iterator[Any]:
    import pynvml  # costs 30 ms: only once GPUs are looked for

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as failure:
        raise NvmlFailed(_fault(pynvml, failure), str(failure)) from failure
    try:
        yield pynvml
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _fault(nvml: Any, failure: Any) -> Fault:
    known = {
        nvml.NVML_ERROR_LIBRARY_NOT_FOUND: Fault.LIBRARY_NOT_FOUND,
        nvml.NVML_ERROR_DRIVER_NOT_LOADED: Fault.DRIVER_NOT_LOADED,
        nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: Fault.VERSION_MISMATCH,
        nvml.NVML_ERROR_FUNCTION_NOT_FOUND: Fault.FUNCTION_NOT_FOUND,
        nvml.NVML_ERROR_NO_PERMISSION: Fault.NO_PERMISSION,
    }
    return known.get(failure.value, Fault.OTHER)


def _count(nvml: Any) -> int:
    try:
        return int(nvml.nvmlDeviceGetCount())
    except nvml.NVMLError as failure:
        raise NvmlFailed(_fault(nvml, failure), str(failure)) from failure


def _read_gpu(nvml: Any, index: int, pci_devices: Path) -> GpuReading:
    """Read step by step, so that a GPU lost on the way keeps the identity it told first."""
    reading = GpuReading(index=index)
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        reading = attrs.evolve(reading, uuid=nvml.nvmlDeviceGetUUID(handle))
        reading = attrs.evolve(reading, name=nvml.nvmlDeviceGetName(handle))
        reading = attrs.evolve(reading, memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total))
        return _read_rest(nvml, handle, reading, pci_devices)
    except nvml.NVMLError as failure:
        return attrs.evolve(reading, fault=_explain(nvml, failure))


def _read_rest(nvml: Any, handle: Any, reading: GpuReading, pci_devices: Path) -> GpuReading:
    bus = _optional(nvml, lambda: nvml.nvmlDeviceGetPciInfo(handle).busId, "")
    mig = bool(_optional(nvml, lambda: nvml.nvmlDeviceGetMigMode(handle)[0], 0))
    return attrs.evolve(
        reading,
        pci_bus_id=bus,
        numa_node=numa_node(pci_devices, bus),
        compute_capability=_optional(
            nvml, lambda: "{}.{}".format(*nvml.nvmlDeviceGetCudaComputeCapability(handle)), ""
        ),
        uncorrected_errors=int(_optional(nvml, lambda: _uncorrected(nvml, handle), 0)),
        mig=mig,
        slices=tuple(_read_slices(nvml, handle)) if mig else (),
    )


def _read_slices(nvml: Any, handle: Any) -> Iterator[SliceReading]:
    for position in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            found = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, position)
        except nvml.NVMLError_NotFound:
            continue  # instances may be removed anywhere: their numbers have gaps
        yield SliceReading(
            uuid=nvml.nvmlDeviceGetUUID(found),
            name=nvml.nvmlDeviceGetName(found),
            memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(found).total),
        )


def _uncorrected(nvml: Any, handle: Any) -> int:
    return int(
        nvml.nvmlDeviceGetTotalEccErrors(
            handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        )
    )


def _optional(nvml: Any, ask: Callable[[], Answer], otherwise: Answer) -> Answer:
    """Ask what not every board and driver can answer."""
    try:
        return ask()
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
        return otherwise


def _explain(nvml: Any, failure: Any) -> str:
    if failure.value == nvml.NVML_ERROR_GPU_IS_LOST:
        return "the GPU is lost: it fell off the bus; reset it or reboot"
    return f"NVML says: {failure}"


def _cuda(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}" if version else ""


def numa_node(pci_devices: Path, bus_id: str) -> int | None:
    """Ask sysfs which NUMA node a PCI device hangs on.

    NVML's own call tells the node that a GPU's memory *is*, which most machines do not have.
    """
    try:
        domain, rest = bus_id.lower().split(":", 1)
        node = int((pci_devices / f"{domain[-4:]}:{rest}" / "numa_node").read_text())
    except (OSError, ValueError):
        return None
    return node if node >= 0 else None
