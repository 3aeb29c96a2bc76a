"""One request on its way through a pool, and how fast a pool works them off."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from modelyard_runtime.worker.requests import Request

Gone = Callable[[], Awaitable[None]]
"""Returns when the client has disconnected."""


class Job:
    """A request and its answer to be. Whoever claims it first, a worker or the front, owns it."""

    __slots__ = ("_ticket", "answer", "deadline", "gone", "looks_at", "request", "waits_until")

    def __init__(self, request: Request, answer: asyncio.Future[Any], deadline: float) -> None:
        self.request = request
        self.answer = answer
        self.deadline = deadline
        self.gone: Gone | None = None
        self.waits_until = deadline
        self.looks_at = deadline
        """When the front must look at it next; on `time.monotonic()`."""
        self._ticket = [None]

    def claim(self) -> bool:
        """Take the job, once, from whichever thread: popping a list is atomic."""
        try:
            self._ticket.pop()
        except IndexError:
            return False
        return True

    @property
    def begun(self) -> bool:
        """Whether somebody has claimed it."""
        return not self._ticket


class DrainRate:
    """Answers a second, over the last busy seconds: what Retry-After is computed from."""

    WINDOW_S = 2.0
    LONGEST_S = 60

    def __init__(self) -> None:
        self.completed = 0
        self._marks = [(time.monotonic(), 0)] * 2
        self._known = 0.0
        """The last rate seen, for the moments in which a new queue has not moved yet."""

    def queue_begins(self) -> None:
        """Hear that somebody waits after nobody did: the time before says nothing about the rate."""
        now = time.monotonic()
        if now - self._marks[1][0] >= self.WINDOW_S:
            self._marks = [(now, self.completed)] * 2

    def seconds_for(self, requests: int) -> int:
        """Return how long this many requests will take, in whole seconds, at least one."""
        now = time.monotonic()
        if now - self._marks[1][0] >= self.WINDOW_S:
            self._marks = [self._marks[1], (now, self.completed)]
        since, before = self._marks[0]
        done, took_s = self.completed - before, max(now - since, 1e-3)
        if done or took_s >= self.WINDOW_S:
            self._known = done / took_s
        rate = self._known
        return min(self.LONGEST_S, max(1, math.ceil(requests / rate))) if rate else self.LONGEST_S
