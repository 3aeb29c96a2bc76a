"""The memory limit: a control group where one can be made, else watching what is resident."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from modelyard_runtime.proc import read

CGROUP_ROOT = Path("/sys/fs/cgroup")
_UNLIMITED = 2**60
"""What version 1 says where there is no limit is about 2**63."""
_BINARY_UNITS = ((2**40, "Ti"), (2**30, "Gi"), (2**20, "Mi"), (2**10, "Ki"))


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """A control group with a limit, ours or the container's; `events` counts its out-of-memory kills."""

    folder: Path
    events: str

    @property
    def procs(self) -> Path:
        """Writing a pid here moves the process in."""
        return self.folder / "cgroup.procs"

    def kills(self) -> int:
        """Return how often the kernel killed for this limit."""
        try:
            text = (self.folder / self.events).read_text(encoding="ascii")
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")), 0)

    def limit(self) -> int:
        """Return its limit in bytes; 0 = none."""
        text = read(self.folder / "memory.max") or read(self.folder / "memory.limit_in_bytes")
        return int(text) if text.strip().isdecimal() and int(text) < _UNLIMITED else 0

    def remove(self) -> None:
        """Remove the group; a busy one is left to the next replica of that name."""
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def make_group(
    name: str, limit_bytes: int, *, root: Path = CGROUP_ROOT, own: str | None = None
) -> MemoryGroup | None:
    """Make a group with this limit; None where this machine or user cannot."""
    text = own if own is not None else read(Path("/proc/self/cgroup"))
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return _make_v1(root / "memory" / path.lstrip("/"), name, limit_bytes)
    for line in text.splitlines():
        if line.startswith("0::"):
            mine = root / line[3:].strip().lstrip("/")
            return _make_v2(mine.parent, name, limit_bytes) or _make_v2(mine, name, limit_bytes)
    return None


def own_group(*, root: Path = CGROUP_ROOT, own: str | None = None) -> MemoryGroup | None:
    """Find the group that this process is in, as a container sees it; None where its kills cannot be counted.

    A container has its own group where a machine has the topmost one, whatever path the kernel tells.
    """
    text = own if own is not None else read(Path("/proc/self/cgroup"))
    lines = [line.split(":", 2) for line in text.splitlines()]
    for _, controllers, path in lines:
        if "memory" in controllers.split(","):
            return _found(root / "memory", path, "memory.oom_control")
    for number, controllers, path in lines:
        if (number, controllers) == ("0", ""):
            return _found(root, path, "memory.events")
    return None


def _found(top: Path, path: str, events: str) -> MemoryGroup | None:
    inside = () if ".." in path.split("/") else (top / path.lstrip("/"),)
    groups = (MemoryGroup(folder, events) for folder in (*inside, top))
    return next((group for group in groups if "oom_kill " in read(group.folder / events)), None)


def spell(size: int) -> str:
    """Write a size as Kubernetes does: 512Mi."""
    for unit, suffix in _BINARY_UNITS:
        if size >= unit and size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)


def _make_v1(parent: Path, name: str, limit_bytes: int) -> MemoryGroup | None:
    folder = parent / f"modelyard-{name}"
    if not _limit(folder, "memory.limit_in_bytes", limit_bytes):
        return None
    with contextlib.suppress(OSError):  # absent where the kernel does not count swap
        (folder / "memory.memsw.limit_in_bytes").write_text(str(limit_bytes), encoding="ascii")
    return MemoryGroup(folder, "memory.oom_control")


def _make_v2(parent: Path, name: str, limit_bytes: int) -> MemoryGroup | None:
    folder = parent / f"modelyard-{name}"
    if not _limit(folder, "memory.max", limit_bytes):
        return None
    for file, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
        with contextlib.suppress(OSError):
            (folder / file).write_text(value, encoding="ascii")
    return MemoryGroup(folder, "memory.events")


def _limit(folder: Path, file: str, limit_bytes: int) -> bool:
    made = False
    try:
        if not folder.parent.is_dir():
            return False
        made = not folder.exists()
        folder.mkdir(exist_ok=True)
        if not (folder / file).exists() or not os.access(folder / "cgroup.procs", os.W_OK):
            raise PermissionError(str(folder))  # one way out for every reason it cannot be
        (folder / file).write_text(str(limit_bytes), encoding="ascii")
    except OSError:
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        return False
    return True
