"""A layer can be read while it is written, and its writing ends with the interest in it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from modelyard.api import Descriptor, GrowingFile, ImageUnbuildable
from modelyard.images.growing import GrowingLayer, Told
from modelyard.images.layers import TAR_TYPE, Layer

LAYER = Layer(Descriptor(TAR_TYPE, "sha256:" + "0" * 64, 30), "sha256:" + "0" * 64)


class Writer:
    """Adds ten bytes each time it is let."""

    def __init__(self, path: Path, *, failure: Exception | None = None) -> None:
        self.path, self.failure = path, failure
        self.turns, self.ended = threading.Semaphore(0), threading.Event()

    def __call__(self, told: Told) -> Layer:
        try:
            for size in (10, 20, 30):
                self.turns.acquire(timeout=10)
                with self.path.open("ab") as file:
                    file.write(b"0123456789")
                told(size)
            if self.failure:
                raise self.failure
            return LAYER
        finally:
            self.ended.set()

    def go_on(self, times: int = 1) -> None:
        self.turns.release(times)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "layer")


def test_its_reader_is_told_as_soon_as_there_is_enough(writer: Writer):
    async def case() -> None:
        async with GrowingLayer.written(writer.path, writer) as growing:
            assert isinstance(growing, GrowingFile)
            waiting = asyncio.ensure_future(growing.reach(15))
            writer.go_on()
            await asyncio.sleep(0.02)
            assert not waiting.done()
            writer.go_on()
            assert await waiting == 20 == writer.path.stat().st_size
            assert not growing.is_whole
            writer.go_on()
            assert await growing.reach(1000) == 30
            assert growing.is_whole
            assert await growing.whole() == LAYER.blob
            assert await growing.layer() == LAYER

    asyncio.run(case())


@pytest.mark.parametrize("wait", ["reach", "whole", "layer"])
def test_what_ended_its_writing_is_told_to_whoever_waits(writer: Writer, wait: str):
    writer.failure = ImageUnbuildable("the file changed", place="score.py", remedy="try again")
    writer.go_on(3)

    async def case() -> None:
        async with GrowingLayer.written(writer.path, writer) as growing:
            arguments = (1000,) if wait == "reach" else ()
            with pytest.raises(ImageUnbuildable, match="changed"):
                await getattr(growing, wait)(*arguments)

    asyncio.run(case())


def test_a_reader_that_fails_ends_the_writing(writer: Writer):
    async def case() -> None:
        async with GrowingLayer.written(writer.path, writer) as growing:
            writer.go_on()
            await growing.reach(10)
            asyncio.get_running_loop().call_later(0.02, writer.go_on)
            raise ConnectionError("no registry")

    with pytest.raises(ConnectionError):
        asyncio.run(case())
    assert writer.ended.is_set()
    assert writer.path.stat().st_size == 20, "it stops at the next piece"


def test_a_reader_that_is_cancelled_leaves_no_writer_behind(writer: Writer):
    async def read() -> None:
        async with GrowingLayer.written(writer.path, writer) as growing:
            await growing.whole()

    async def case() -> None:
        reading = asyncio.create_task(read())
        await asyncio.sleep(0.02)
        reading.cancel()
        writer.go_on()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert writer.ended.is_set()

    asyncio.run(case())
