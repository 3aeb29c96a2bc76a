"""What one look at the GPUs of a machine gives: values only."""

from __future__ import annotations

import attrs


@attrs.frozen
class SliceReading:
    """One MIG instance."""

    uuid: str
    name: str
    memory_bytes: int


@attrs.frozen
class GpuReading:
    """One GPU. `fault` says why it could not be read to the end; what was read before stands."""

    index: int
    uuid: str = ""
    name: str = ""
    pci_bus_id: str = ""
    memory_bytes: int = 0
    numa_node: int | None = None
    compute_capability: str = ""
    uncorrected_errors: int = 0
    """ECC errors that could not be corrected since the driver was loaded; 0 where ECC is absent."""
    mig: bool = False
    slices: tuple[SliceReading, ...] = ()
    fault: str = ""


@attrs.frozen
class Reading:
    """The whole machine."""

    driver: str
    cuda: str
    gpus: tuple[GpuReading, ...]
