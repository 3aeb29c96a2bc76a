from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from modelyard.api import UserError
from modelyard.management.streams import json_lines


async def _slow(closed: list[bool]) -> AsyncIterator[int]:
    try:
        yield 1
        await asyncio.sleep(0.2)
        yield 2
    finally:
        closed.append(True)


async def _collected(values: AsyncIterator[int], *, silence_seconds: float) -> list[bytes]:
    return [line async for line in json_lines(values, silence_seconds=silence_seconds)]


def test_silence_is_filled_with_signs_of_life_and_nothing_is_lost() -> None:
    closed: list[bool] = []
    lines = asyncio.run(_collected(_slow(closed), silence_seconds=0.02))
    assert [json.loads(line) for line in lines if line.strip()] == [{"value": 1}, {"value": 2}]
    assert b"\n" in lines
    assert closed == [True]


def test_a_stream_that_is_left_closes_its_source() -> None:
    closed: list[bool] = []

    async def leave() -> None:
        stream = json_lines(_slow(closed), silence_seconds=10)
        await anext(stream)
        pending = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)

    asyncio.run(leave())
    assert closed == [True]


def test_an_error_is_the_last_line() -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        raise UserError("no", place="here", remedy="mend it")

    lines = asyncio.run(_collected(failing(), silence_seconds=10))
    assert json.loads(lines[-1])["error"]["message"] == "no"
