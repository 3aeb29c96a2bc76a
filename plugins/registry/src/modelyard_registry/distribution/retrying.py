"""Try again, later and later: what a registry or the network could not do now it may do in a moment.

`wait_seconds` decides and is pure; `persist` waits. Jitter keeps many clients from coming back at once.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import attrs

from modelyard_registry.distribution.messages import Cut, Reply

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_FULL = re.compile(rb'no space left|"Err":28\b')
"""How registries on a disk tell, in words or as an errno, that trying again will not help."""


@attrs.frozen
class Patience:
    """How long to go on. Time and chance come in here, so that a test has its own."""

    attempts: int = 5
    first_seconds: float = 0.5
    longest_seconds: float = 20.0
    longest_told_seconds: float = 60.0
    """A server that asks for more gets its error told: whoever deploys should know, not wait."""
    sleep: Callable[[float], Awaitable[None]] = attrs.field(default=asyncio.sleep, repr=False)
    chance: Callable[[], float] = attrs.field(default=random.random, repr=False)
    wall_clock: Callable[[], float] = attrs.field(default=time.time, repr=False)
    clock: Callable[[], float] = attrs.field(default=time.monotonic, repr=False)

    async def rest(self, attempt: int, told: float | None = None) -> bool:
        """Wait after a failed attempt (the first is 0); False = no more attempts."""
        wait = wait_seconds(attempt, told, self.chance(), self)
        if wait is None:
            return False
        await self.sleep(wait)
        return True


def wait_seconds(attempt: int, told: float | None, chance: float, patience: Patience) -> float | None:
    """Say how long to wait after this attempt; None = give up. `told` is the server's Retry-After."""
    if attempt + 1 >= patience.attempts or (told or 0) > patience.longest_told_seconds:
        return None
    grown: float = min(patience.first_seconds * 2**attempt, patience.longest_seconds)
    return max(told or 0.0, grown * (0.5 + chance / 2))


def told_seconds(retry_after: str, now: float) -> float | None:
    """Read `Retry-After`: seconds, or a date; None when it is neither."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


async def persist(send: Callable[[], Awaitable[Reply]], patience: Patience) -> Reply:
    """Send until there is an answer worth reading; the last error's reply, or `Cut`, after that."""
    attempt = 0
    while True:
        told = None
        try:
            reply = await send()
        except Cut:
            if not await patience.rest(attempt):
                raise
        else:
            if not is_passing(reply):
                return reply
            told = told_seconds(reply.header("retry-after"), patience.wall_clock())
            if not await patience.rest(attempt, told):
                return reply
        attempt += 1


def is_passing(reply: Reply) -> bool:
    """Say whether the same request may succeed later."""
    return reply.status in RETRIED and not is_full(reply)


def is_full(reply: Reply) -> bool:
    """Say whether the registry has no room left."""
    return reply.status == HTTPStatus.INSUFFICIENT_STORAGE or bool(_FULL.search(reply.content))
