"""What Linux's /proc says about the memory of processes; where there is no /proc, every answer is 0.

Standard library only: the replica's parent watches memory with it, the server its models' processes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_KIB = 1024


def resident_bytes(pid: int) -> int:
    """Return what a process and its descendants hold in memory; what two of them share counts twice."""
    return sum(_resident(member) for member in family((pid,)))


def proportional_bytes(pids: Iterable[int]) -> int:
    """Return what these processes and their descendants hold; shared pages are divided by their sharers (PSS)."""
    return sum(_proportional(member) for member in family(pids))


def marked(name: str, value: str) -> list[int]:
    """List the processes, of this user's, that were started with this environment variable."""
    mark = f"\0{name}={value}\0".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # another user's, or gone
            if mark in b"\0" + (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def family(pids: Iterable[int]) -> list[int]:
    """List these processes and their descendants."""
    found, waiting = [], list(pids)
    while waiting:
        member = waiting.pop()
        found.append(member)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{member}/task").iterdir():
                waiting += [int(child) for child in read(task / "children").split()]
    return found


def read(path: Path) -> str:
    """Return a file's text; empty for one that cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _resident(pid: int) -> int:
    fields = read(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else 0


def _proportional(pid: int) -> int:
    for line in read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * _KIB
    return _resident(pid)  # a kernel without it, or a process that may not be looked into
