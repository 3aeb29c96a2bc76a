"""Judge a place by its free cores and memory.

Pure: resources and a candidate in, a refusal or a score out.
"""

from __future__ import annotations

from modelyard.api import Candidate, Refusal, ResourceSpec

MIB = 1024**2


def refuse(asked: ResourceSpec, place: Candidate) -> Refusal | None:
    """Refuse a place that has too few free cores or too little free memory; cores are told first."""
    if place.free_millicores < asked.cpu_millicores:
        return cpu_short(place.node, asked.cpu_millicores, place.free_millicores)
    if place.free_memory_bytes < asked.memory_bytes:
        return memory_short(place.node, asked.memory_bytes, place.free_memory_bytes)
    return None


def fraction_left(asked: ResourceSpec, place: Candidate) -> float:
    """Give the part of what is free now that stays free: of cores or memory, whichever is scarcer."""
    return min(
        _left(asked.cpu_millicores, place.free_millicores),
        _left(asked.memory_bytes, place.free_memory_bytes),
    )


def cpu_short(where: str, asked_millicores: int, free_millicores: int) -> Refusal:
    """Refuse for want of cores."""
    return Refusal(
        plugin="cpu",
        code="cpu_short",
        message=f"{where}: {free_millicores}m CPU free, {asked_millicores}m asked",
        remedy="ask for less under resources.cpu, or free some by scaling another service down",
        numbers={"asked_millicores": asked_millicores, "free_millicores": free_millicores},
        retryable=True,
    )


def memory_short(where: str, asked_bytes: int, free_bytes: int) -> Refusal:
    """Refuse for want of memory."""
    asked_mib, free_mib = asked_bytes / MIB, free_bytes / MIB
    return Refusal(
        plugin="cpu",
        code="memory_short",
        message=f"{where}: {free_mib:.0f} MiB memory free, {asked_mib:.0f} MiB asked",
        remedy="ask for less under resources.memory, or free some by scaling another service down",
        numbers={"asked_mib": asked_mib, "free_mib": free_mib},
        retryable=True,
    )


def _left(asked: int, free: int) -> float:
    return max(0.0, min(1.0, (free - asked) / free)) if free > 0 else 0.0
