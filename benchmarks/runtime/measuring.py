"""What a server costs, read from /proc: CPU time and memory of its whole process tree."""

from __future__ import annotations

import os
from pathlib import Path

_TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """Return a process and all its descendants; they may be gone by the time they are looked at."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            tasks = list(Path(f"/proc/{pid}/task").iterdir())
            for task in tasks:
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def cpu_us(pids: list[int]) -> float:
    """Return the CPU time these processes have used, in microseconds."""
    return sum(_ticks(pid) for pid in pids) * _TICK_US


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def machine_us() -> float:
    """Return the CPU time the whole machine has used; what it was robbed of by its host counts too."""
    user, nice, system, _idle, _wait, irq, soft, steal = (
        int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
    )
    return (user + nice + system + irq + soft + steal) * _TICK_US


def pss_mb(pids: list[int]) -> float:
    """Return proportional set size in MB: shared pages count once over the tree."""
    return sum(_pss_kb(pid) for pid in pids) / 1_000


def _pss_kb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) * 1.024 for line in lines if line.startswith("Pss:"))
