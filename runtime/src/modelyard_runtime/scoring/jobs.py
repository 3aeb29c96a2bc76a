"""One request on its way through a pool, and how fast a pool works them off."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from modelyard_runtime.scoring.streams import Channel
from modelyard_runtime.worker.requests import Request

Gone = Callable[[], Awaitable[None]]
"""Returns when the client has disconnected."""


class Job:
    """A request and its answer to be. Whoever claims it first, a worker or the front, owns it."""

    __slots__ = (
        "_ticket",
        "answer",
        "channel",
        "deadline",
        "gone",
        "limit",
        "looks_at",
        "request",
        "waits_until",
    )

    def __init__(self, request: Request, answer: asyncio.Future[Any], deadline: float, limit: float) -> None:
        self.request = request
        self.answer = answer
        self.deadline = deadline
        """Until when its caller waits."""
        self.limit = limit
        """Until when a worker may be at it: a caller in a hurry ends nobody's work."""
        self.gone: Gone | None = None
        self.channel: Channel | None = None
        """The pieces of an answer that is a stream."""
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

    @property
    def awaited(self) -> bool:
        """Whether it has begun and somebody still waits for its answer, or for more of it."""
        if self.channel is not None:
            return not self.channel.closed
        return self.begun and not self.answer.done()


class DrainRate:
    """Answers a second while every slot was taken: what Retry-After is computed from.

    Time in which a slot was free says nothing about how fast a queue would shrink, so it is not counted:
    of the seconds that are, the last few make the rate.
    """

    WINDOW_S = 2.0
    LONGEST_S = 60

    def __init__(self) -> None:
        self._answers = 0
        self._full_s = 0.0
        self._since: float | None = None
        """When the last slot was taken; None while one is free."""
        self._marks = [(0.0, 0)] * 2
        """Full seconds and answers, a window ago and two."""

    def full(self) -> None:
        """Hear that the last slot is taken."""
        self._since = time.monotonic()

    def answered(self) -> None:
        """Hear of an answer given while every slot was taken."""
        self._answers += 1

    def free(self) -> None:
        """Hear that a slot is free again."""
        if self._since is not None:
            self._full_s += time.monotonic() - self._since
            self._since = None
            self._mark(self._full_s)

    def seconds_for(self, requests: int) -> int:
        """Return how long this many requests will take, in whole seconds, at least one."""
        full_s = self._full_s + (time.monotonic() - self._since if self._since is not None else 0.0)
        self._mark(full_s)
        before_s, before = self._marks[0]
        done = self._answers - before
        if not done:
            return self.LONGEST_S
        return min(self.LONGEST_S, max(1, math.ceil(requests * (full_s - before_s) / done)))

    def _mark(self, full_s: float) -> None:
        if full_s - self._marks[1][0] >= self.WINDOW_S:
            self._marks = [self._marks[1], (full_s, self._answers)]
