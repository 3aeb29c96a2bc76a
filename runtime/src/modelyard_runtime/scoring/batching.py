"""When to stop waiting for more requests to run together.

Adaptive: waiting only pays when another request is likely to come in time, so the gap between arrivals
is followed, and nobody waits for company that does not come.
"""

from __future__ import annotations

from modelyard_runtime.contract import Batching

_WEIGHT = 0.2
_HOPEFUL = 3.0
"""How many usual gaps to wait for the next arrival before giving up."""


class Arrivals:
    """The usual gap between requests, as an exponential average."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self.gap_s = float("inf")

    def quiet_s(self, now_s: float) -> float:
        """Return how long ago the last one came."""
        return now_s - self._last_s if self._last_s is not None else float("inf")

    def note(self, now_s: float) -> None:
        """A request arrived."""
        if self._last_s is not None:
            gap_s = now_s - self._last_s
            known = self.gap_s != float("inf")
            self.gap_s = self.gap_s + _WEIGHT * (gap_s - self.gap_s) if known else gap_s
        self._last_s = now_s


def wait_s(batching: Batching, *, size: int, waited_s: float, gap_s: float, quiet_s: float) -> float:
    """Return how long a batch of `size` should still wait for its next member; 0 = run it now.

    `quiet_s` is how long nobody has come: hope ends a few usual gaps after the last one.
    """
    left_s = batching.max_wait_s - waited_s
    if size >= batching.max_size or gap_s >= batching.max_wait_s:
        return 0.0
    return max(0.0, min(left_s, gap_s * _HOPEFUL - quiet_s))
