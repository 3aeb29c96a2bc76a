"""The log of a container: its last lines, then what comes, over its restarts."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any, Literal

from modelyard.api import ModelyardError
from modelyard.containers.connecting import ASK_SECONDS, Daemon
from modelyard.containers.holding import inspect
from modelyard.containers.values import Absent

if TYPE_CHECKING:
    from docker import APIClient

_WAIT_SECONDS = 0.3
_WAITING_LINES = 1000
"""How many a slow reader lets pile up here; then the daemon waits."""
_TAIL_SECONDS = 6 * ASK_SECONDS


async def tail(daemon: Daemon, container: str, lines: int) -> list[str]:
    """Give the last lines. Raises `Absent`."""

    def work(client: APIClient) -> bytes:
        return client.logs(container, stdout=True, stderr=True, tail=max(lines, 0))

    told = await daemon.call("give a log", work, seconds=_TAIL_SECONDS)
    return [_text(line) for line in told.removesuffix(b"\n").split(b"\n")] if told else []


async def follow(daemon: Daemon, container: str, *, lines: int) -> AsyncIterator[str]:
    """Yield the last lines, then each new one, until the container is removed. Raises `Absent` where it is not."""
    begun, seen = time.time_ns(), 0
    while True:
        reading = _read(daemon, container, after=seen, lines=None if seen else max(lines, 0))
        async with contextlib.aclosing(reading):
            async for moment, line in reading:
                seen = max(seen, moment)
                yield line
        if not await _runs_again(daemon, container):
            return
        seen = max(seen, begun)  # what is older was not asked for


async def _runs_again(daemon: Daemon, container: str) -> bool:
    """Wait until it runs, or is no more."""
    try:
        while (await inspect(daemon, container)).pid is None:  # noqa: ASYNC110  the daemon tells nobody
            await asyncio.sleep(_WAIT_SECONDS)
    except Absent:
        return False
    return True


async def _read(
    daemon: Daemon, container: str, *, after: int, lines: int | None
) -> AsyncGenerator[tuple[int, str]]:
    """Yield lines with their moments until the container stops; `lines` None = all that are younger than `after`."""
    reader = _Reader(daemon, container, after=after, lines=lines)
    threading.Thread(target=reader.run, name="docker-log", daemon=True).start()
    partial = b""
    try:
        while (frame := await reader.queue.get()) is not None:
            if isinstance(frame, ModelyardError):
                raise frame
            moment, text = _split(frame)
            partial += text
            if lines is None and moment <= after:
                partial = b""  # told before
            elif partial.endswith(b"\n"):
                yield moment, _text(partial.removesuffix(b"\n"))
                partial = b""
        if partial:
            yield after, _text(partial)
    finally:
        await asyncio.to_thread(reader.close)


class _Reader:
    """Reads frames in a thread of its own, and waits when nobody takes them."""

    def __init__(self, daemon: Daemon, container: str, *, after: int, lines: int | None) -> None:
        self.queue: asyncio.Queue[bytes | ModelyardError | None] = asyncio.Queue(_WAITING_LINES)
        self._daemon = daemon
        self._container = container
        self._after = after
        self._lines = lines
        self._loop = asyncio.get_running_loop()
        self._stream: Any = None
        self._closed = threading.Event()
        self._opened = threading.Event()

    def run(self) -> None:
        try:
            self._stream = self._daemon.call_here("give a log", self._open)
            self._opened.set()
            for frame in self._stream:
                self._put(frame)
            self._put(None)
        except ModelyardError as error:
            self._put(error)
        finally:
            self._opened.set()

    def close(self) -> None:
        """Cut the connection, so that the thread ends."""
        self._closed.set()
        self._opened.wait(ASK_SECONDS)
        if self._stream is not None:
            self._stream.close()

    def _open(self, client: APIClient) -> Any:
        # a float keeps microseconds; what came twice is sorted out by its own moment
        since = (self._after // 1000 - 1) / 1e6 if self._after else None
        wanted: int | Literal["all"] = self._lines if self._lines is not None else "all"
        return client.logs(
            self._container,
            stdout=True,
            stderr=True,
            stream=True,
            follow=True,
            timestamps=True,
            tail=wanted,
            since=since,
        )

    def _put(self, item: bytes | ModelyardError | None) -> None:
        while not self._closed.is_set():
            putting = asyncio.run_coroutine_threadsafe(self.queue.put(item), self._loop)
            with contextlib.suppress(TimeoutError):
                putting.result(_WAIT_SECONDS)
                return
            if not putting.cancel():
                return


def _split(frame: bytes) -> tuple[int, bytes]:
    """Split `2026-01-02T03:04:05.678901234Z text` into nanoseconds since 1970 and the text."""
    stamp, _, text = frame.partition(b" ")
    return _nanoseconds(stamp.decode("ascii", "replace")), text


def _nanoseconds(stamp: str) -> int:
    from modelyard.containers.values import unix_seconds

    whole, _, rest = stamp.partition(".")
    seconds = int(unix_seconds(f"{whole.rstrip('Z')}Z"))
    digits = rest.rstrip("Z")
    return seconds * 1_000_000_000 + (int(digits.ljust(9, "0")[:9]) if digits.isdigit() else 0)


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").rstrip("\r")
