"""What this machine can give to replicas: cores and memory, within the limits of its cgroup."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import attrs

from modelyard.api import Candidate
from modelyard.targets.replicas import Granted

_ROOT = Path("/")


@attrs.frozen
class Capacity:
    """All that replicas together may be asked for."""

    millicores: int
    memory_bytes: int


def machine_capacity(root: Path = _ROOT) -> Capacity:
    """Read the machine's capacity; `root` holds `proc` and `sys`."""
    group = root / "sys/fs/cgroup"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    millicores = [cores * 1000, *_quota_millicores(group)]
    bytes_ = [memory, *_limit_bytes(group)]
    return Capacity(millicores=min(millicores), memory_bytes=min(bytes_))


def free_candidate(capacity: Capacity, asked: Iterable[Granted], *, node: str, target: str) -> Candidate:
    """Take what running replicas were asked for off the capacity. Pure."""
    asked = tuple(asked)
    return Candidate(
        node=node,
        free_millicores=max(capacity.millicores - sum(one.cpu_millicores for one in asked), 0),
        free_memory_bytes=max(capacity.memory_bytes - sum(one.memory_bytes for one in asked), 0),
        labels={"target": target},
    )


def _quota_millicores(group: Path) -> list[int]:
    quota, _, period = _read(group / "cpu.max").partition(" ")  # cgroup v2
    if not quota:
        quota, period = _read(group / "cpu/cpu.cfs_quota_us"), _read(group / "cpu/cpu.cfs_period_us")
    return [int(quota) * 1000 // int(period)] if quota.isdigit() and period.isdigit() else []


def _limit_bytes(group: Path) -> list[int]:
    texts = (_read(group / "memory.max"), _read(group / "memory/memory.limit_in_bytes"))
    return [int(text) for text in texts if text.isdigit()]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return ""
