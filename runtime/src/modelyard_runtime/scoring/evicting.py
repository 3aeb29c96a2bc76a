"""Which loaded models make room for another. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

Key = tuple[str, str]
"""A model's name and version."""


class Resident(NamedTuple):
    """A model in memory. `kept`: it runs requests, is awaited, or is about to serve."""

    key: Key
    size_bytes: int
    used_at: float
    kept: bool


class Eviction(NamedTuple):
    """Who leaves, the least recently used first; `fits`: what is needed then has room."""

    leaving: tuple[Key, ...]
    fits: bool


def choose(residents: Iterable[Resident], *, need_bytes: int, budget_bytes: int) -> Eviction:
    """Choose as few as will do, in the order of their last use; no one that is kept."""
    known = tuple(residents)
    excess = sum(one.size_bytes for one in known) + need_bytes - budget_bytes
    leaving: list[Key] = []
    for one in sorted((one for one in known if not one.kept), key=lambda one: one.used_at):
        if excess <= 0:
            break
        leaving.append(one.key)
        excess -= one.size_bytes
    return Eviction(tuple(leaving), excess <= 0)
