"""Signals that come before there is anything to end.

The first process of a container never sees a signal that it has no handler for: a stop that comes while the
parent still loads would be lost. What is loaded before this is Python alone.
"""

from __future__ import annotations

import signal

came: list[int] = []
"""Those so far, in their order; the supervisor begins with them."""


def listen() -> None:
    """Note them from now on."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, lambda number, _frame: came.append(number))
