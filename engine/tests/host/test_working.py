"""A function of a plugin is waited for within its time, and whoever waits can be cancelled at any moment."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from modelyard.host.working import Hung, Raised, attempt_async


def test_what_the_function_returns_or_raises_comes_back():
    assert asyncio.run(attempt_async(lambda: 7, seconds=30)) == 7
    with pytest.raises(Raised, match="ValueError: no"):
        asyncio.run(attempt_async(lambda: (_ for _ in ()).throw(ValueError("no")), seconds=30))


def test_a_time_out_of_the_functions_own_is_not_taken_for_ours():
    with pytest.raises(Raised, match="TimeoutError"):
        asyncio.run(attempt_async(lambda: (_ for _ in ()).throw(TimeoutError), seconds=30))


def test_a_function_that_hangs_is_given_up():
    over = threading.Event()
    try:
        with pytest.raises(Hung):
            asyncio.run(attempt_async(over.wait, seconds=0.01))
    finally:
        over.set()


@pytest.mark.parametrize("ticks", range(4))
def test_a_cancel_that_comes_with_the_answer_is_not_lost(ticks: int):
    async def scenario() -> bool:
        over = threading.Event()
        waiting = asyncio.create_task(attempt_async(over.wait, seconds=60))
        await asyncio.sleep(0.01)
        over.set()
        time.sleep(0.05)  # noqa: ASYNC251  the answer arrives while the loop stands still
        for _ in range(ticks):
            await asyncio.sleep(0)
        came_in_time = waiting.cancel()
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        return isinstance(outcome, asyncio.CancelledError) == came_in_time

    assert asyncio.run(scenario())
