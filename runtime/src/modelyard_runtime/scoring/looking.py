"""How soon to look again at what the loaded models hold: sooner the nearer the budget is. Pure."""

from __future__ import annotations

from typing import NamedTuple

LONGEST_S = 5.0
SHORTEST_S = 0.5
_NEAR = 0.8
"""From this share of the budget on, models that are used are looked at as often as may be."""
_SHARE = 0.02
"""Of a core, at most, for looking: the kernel walks through every page that a model holds."""


class Look(NamedTuple):
    """What was seen, when, and how long it took to see it."""

    at: float
    held_bytes: int
    took_s: float


def pause_s(before: Look, last: Look, *, budget_bytes: int, used: bool) -> float:
    """Return how long after the last look the next is due. `used`: a model has had requests since then.

    Models grow while they serve. One that grows as fast as it last did is seen twice on its way to the budget.
    """
    if not used:
        return LONGEST_S
    due_s = SHORTEST_S if last.held_bytes >= _NEAR * budget_bytes else LONGEST_S
    grown = last.held_bytes - before.held_bytes
    if grown > 0:
        full_s = (budget_bytes - last.held_bytes) * (last.at - before.at) / grown
        due_s = min(due_s, full_s / 2)
    return min(LONGEST_S, max(SHORTEST_S, due_s, last.took_s / _SHARE))
