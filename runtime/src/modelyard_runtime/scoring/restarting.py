"""When a worker that has ended is started again. Pure."""

from __future__ import annotations

_LONGEST_ROW = 32


def delay_s(failed_starts: int, *, initial_s: float, longest_s: float) -> float:
    """Return how long to wait: not at all for one that has served, ever longer for one that cannot start."""
    if failed_starts <= 0:
        return 0.0
    return min(longest_s, initial_s * 2.0 ** min(failed_starts - 1, _LONGEST_ROW))
