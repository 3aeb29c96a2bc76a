"""See the machine as this process may use it: cores, memory, vector instructions."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import attrs

from modelyard_cpu.cgroups import CgroupLimits, read_limits

SIMD = (
    *("sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16"),
    *("amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)
"""Flags that matter to numeric libraries, x86-64 first, then arm64."""


@attrs.frozen
class Machine:
    """What there is, and what of it this process may use."""

    affinity_cores: int
    memory_total_bytes: int
    limits: CgroupLimits
    model: str = ""
    simd: tuple[str, ...] = ()

    @property
    def millicores(self) -> int:
        """Cores that may be used, in thousandths: affinity or quota, whichever is less."""
        whole = self.affinity_cores * 1000
        return whole if self.limits.cpu_millicores is None else min(whole, self.limits.cpu_millicores)

    @property
    def memory_bytes(self) -> int:
        """Memory that may be used: the machine's or the limit, whichever is less."""
        limit = self.limits.memory_bytes
        return self.memory_total_bytes if limit is None else min(self.memory_total_bytes, limit)


def usable_cores() -> int:
    """Count the cores this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@attrs.frozen
class MachineReader:
    """Reads a `Machine`; `root` holds `proc` and `sys`, `cores` counts the usable cores."""

    root: Path = Path("/")
    cores: Callable[[], int] = usable_cores

    def read(self) -> Machine:
        """Look now."""
        cpuinfo = self._text("proc/cpuinfo")
        return Machine(
            affinity_cores=self.cores(),
            memory_total_bytes=parse_memory_total(self._text("proc/meminfo")) or _physical_bytes(),
            limits=read_limits(self.root),
            model=_field(cpuinfo, "model name"),
            simd=parse_simd(cpuinfo),
        )

    def _text(self, path: str) -> str:
        try:
            return (self.root / path).read_text()
        except (OSError, UnicodeDecodeError):
            return ""


def parse_memory_total(meminfo: str) -> int:
    """Read `MemTotal`, bytes; 0 when it is not there."""
    match = re.search(r"^MemTotal:\s+(\d+) kB$", meminfo, flags=re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def parse_simd(cpuinfo: str) -> tuple[str, ...]:
    """Pick the known vector instructions out of `/proc/cpuinfo`."""
    flags = set((_field(cpuinfo, "flags") or _field(cpuinfo, "Features")).split())
    return tuple(name for name in SIMD if name in flags)


def _field(cpuinfo: str, name: str) -> str:
    match = re.search(rf"^{name}[ \t]*:[ \t]*(.*)$", cpuinfo, flags=re.MULTILINE)
    return match[1].strip() if match else ""


def _physical_bytes() -> int:
    # without /proc (macOS) the C library knows
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
