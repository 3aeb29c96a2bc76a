"""Who waits for a beat can be woken, can run out of time, and can be cancelled at any moment."""

from __future__ import annotations

import asyncio

import pytest
from modelyard.controller.pulse import Pulse


def test_a_beat_and_the_end_of_the_time_both_end_the_wait():
    async def scenario() -> None:
        pulse = Pulse()
        await pulse.wait(at_most_seconds=0.001)
        waiting = asyncio.create_task(pulse.wait(at_most_seconds=60))
        await asyncio.sleep(0)
        pulse.beat()
        async with asyncio.timeout(5):
            await waiting

    asyncio.run(scenario())


@pytest.mark.parametrize("ticks", range(4))
def test_a_cancel_that_comes_with_a_beat_is_not_lost(ticks: int):
    async def scenario() -> bool:
        pulse = Pulse()
        waiting = asyncio.create_task(pulse.wait(at_most_seconds=60))
        for _ in range(3):
            await asyncio.sleep(0)
        pulse.beat()
        for _ in range(ticks):
            await asyncio.sleep(0)
        came_in_time = waiting.cancel()
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        return isinstance(outcome, asyncio.CancelledError) == came_in_time

    assert asyncio.run(scenario())
