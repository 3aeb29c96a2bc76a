"""Find the CPU and memory limits that cgroups put on this process, in v1, v2 and mixed hierarchies.

A limit may sit on any ancestor, so every level is read, from the process's own group up to the mount.
Parsing is pure; `read_limits` is the only function that touches files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

import attrs

UNLIMITED_BYTES = 1 << 60
"""v1 says "no limit" as the largest page-aligned number; nobody has an EiB of memory."""

Read = Callable[[PurePosixPath], str]
"""Gives a file's text, empty when it cannot be read."""


@attrs.frozen
class CgroupLimits:
    """The tightest limits found; None = none. `versions` says which hierarchies were seen."""

    cpu_millicores: int | None = None
    memory_bytes: int | None = None
    versions: tuple[str, ...] = ()


@attrs.frozen
class Mount:
    """One cgroup file system: `controllers` is empty for v2, which carries all of them."""

    root: str
    point: str
    version: str
    controllers: frozenset[str] = frozenset()


def read_limits(root: Path = Path("/")) -> CgroupLimits:
    """Read the limits of this process; `root` holds `proc` and `sys`."""

    def read(path: PurePosixPath) -> str:
        try:
            return (root / path.relative_to("/")).read_text()
        except (OSError, UnicodeDecodeError):
            return ""

    mounts = parse_mounts(read(PurePosixPath("/proc/self/mountinfo")))
    groups = parse_groups(read(PurePosixPath("/proc/self/cgroup")))
    return tightest(mounts, groups, read)


def parse_mounts(mountinfo: str) -> tuple[Mount, ...]:
    """Pick the cgroup mounts out of `/proc/self/mountinfo`."""
    return tuple(mount for line in mountinfo.splitlines() if (mount := _parse_mount(line)))


def parse_groups(cgroup: str) -> dict[str, str]:
    """Read `/proc/self/cgroup`: controller -> path; the key of v2 is empty."""
    groups = {}
    for line in cgroup.splitlines():
        _, _, rest = line.partition(":")
        controllers, found, path = rest.partition(":")
        if found:
            groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def levels(mount: Mount, group: str) -> Iterator[PurePosixPath]:
    """List the folders whose limits bind the group, its own first, the mount's last.

    Inside a container the group's path may lie outside what is mounted: then the mount itself is ours.
    """
    point = PurePosixPath(mount.point)
    path = PurePosixPath(group)
    inside = path.is_relative_to(mount.root) and ".." not in path.parts
    own = point / path.relative_to(mount.root) if inside else point
    yield own
    while own != point:
        own = own.parent
        yield own


def tightest(mounts: Iterable[Mount], groups: dict[str, str], read: Read) -> CgroupLimits:
    """Take the least of all limits of all levels of all hierarchies."""
    cpu: list[int] = []
    memory: list[int] = []
    versions: set[str] = set()
    for mount in mounts:
        versions.add(mount.version)
        for folder in _folders(mount, groups, "cpu"):
            cpu.extend(_cpu_limits(folder, mount.version, read))
        for folder in _folders(mount, groups, "memory"):
            memory.extend(_memory_limits(folder, mount.version, read))
    return CgroupLimits(
        cpu_millicores=min(cpu, default=None),
        memory_bytes=min(memory, default=None),
        versions=tuple(sorted(versions)),
    )


def _parse_mount(line: str) -> Mount | None:
    before, found, after = line.partition(" - ")
    fields, kind = before.split(), after.split()
    if not found or len(fields) < 5 or len(kind) < 3:  # noqa: PLR2004  as proc(5) counts the fields
        return None
    root, point = _unescape(fields[3]), _unescape(fields[4])
    if kind[0] == "cgroup2":
        return Mount(root=root, point=point, version="v2")
    if kind[0] == "cgroup":
        return Mount(root=root, point=point, version="v1", controllers=frozenset(kind[2].split(",")))
    return None


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _folders(mount: Mount, groups: dict[str, str], controller: str) -> Iterator[PurePosixPath]:
    if mount.version == "v2":
        yield from levels(mount, groups.get("", "/"))
    elif controller in mount.controllers:
        yield from levels(mount, groups.get(controller, "/"))


def _cpu_limits(folder: PurePosixPath, version: str, read: Read) -> Iterator[int]:
    if version == "v2":
        quota, _, period = read(folder / "cpu.max").strip().partition(" ")
    else:
        quota = read(folder / "cpu.cfs_quota_us").strip()
        period = read(folder / "cpu.cfs_period_us").strip()
    if quota.isdecimal() and period.isdecimal() and int(period) > 0:  # "max" and "-1" are no limit
        yield int(quota) * 1000 // int(period)


def _memory_limits(folder: PurePosixPath, version: str, read: Read) -> Iterator[int]:
    name = "memory.max" if version == "v2" else "memory.limit_in_bytes"
    text = read(folder / name).strip()
    if text.isdecimal() and int(text) < UNLIMITED_BYTES:
        yield int(text)
