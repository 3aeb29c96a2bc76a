"""Channels: pieces in order, backpressure, and a reader that leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from modelyard_runtime.scoring.streams import Channel


class Counted:
    def __init__(self) -> None:
        self.taken = self.left = 0
        self.channel = Channel(taken=self._take, left=self._leave)

    def _take(self) -> None:
        self.taken += 1

    def _leave(self) -> None:
        self.left += 1


def test_pieces_come_in_order_and_each_is_credited():
    async def scenario() -> Any:
        counted = Counted()
        for piece in (b"a", b"b"):
            counted.channel.feed(piece)
        counted.channel.end()
        return [piece async for piece in counted.channel], counted.taken, counted.left

    assert asyncio.run(scenario()) == ([b"a", b"b"], 2, 0)


def test_a_reader_waits_for_what_has_not_come_yet():
    async def scenario() -> Any:
        counted = Counted()
        asyncio.get_running_loop().call_later(0.01, counted.channel.feed, b"late")
        return await counted.channel.__anext__()

    assert asyncio.run(scenario()) == b"late"


def test_a_failure_is_raised_after_the_last_piece():
    async def scenario() -> Any:
        counted = Counted()
        counted.channel.feed(b"a")
        counted.channel.end(ValueError("broken"))
        read = [await counted.channel.__anext__()]
        with pytest.raises(ValueError, match="broken"):
            await counted.channel.__anext__()
        return read

    assert asyncio.run(scenario()) == [b"a"]


def test_closing_tells_the_worker_once_and_drops_what_comes_after():
    async def scenario() -> Any:
        counted = Counted()
        counted.channel.close()
        counted.channel.close()
        counted.channel.feed(b"late")
        return counted.left, counted.channel.closed

    assert asyncio.run(scenario()) == (1, True)


def test_closing_after_the_end_tells_nobody():
    async def scenario() -> Any:
        counted = Counted()
        counted.channel.end()
        counted.channel.close()
        return counted.left

    assert asyncio.run(scenario()) == 0
