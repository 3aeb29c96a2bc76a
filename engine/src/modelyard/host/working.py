"""Run a stranger's function in a thread of its own, and stop waiting when its time is up.

Threads are daemons, one a call: a pool would wait for a hung plugin when the interpreter exits, and
would lose a worker to it for good.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

_LONGEST_REASON = 300


class Hung(Exception):
    """The function was still running when its time was up."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")


class Raised(Exception):
    """The function raised; wrapped, so that its error is never mistaken for one of ours."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(describe(error))
        self.error = error


def describe(error: BaseException) -> str:
    """Put an error into one line of bounded length."""
    text = " ".join(str(error).split())
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 3] + "..."


def attempt(function: Callable[[], T], *, seconds: float) -> T:
    """Run the function and wait for it; raises `Raised` or `Hung`."""
    try:
        return _start(function).result(timeout=seconds)
    except TimeoutError:
        raise Hung(seconds) from None


async def attempt_async(function: Callable[[], T], *, seconds: float) -> T:
    """Run the function without blocking the event loop; raises `Raised` or `Hung`."""
    try:
        # before Python 3.12 `wait_for` loses a cancel that comes together with the answer
        async with asyncio.timeout(seconds):
            return await asyncio.wrap_future(_start(function))
    except TimeoutError:
        raise Hung(seconds) from None


def _start(function: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    context = contextvars.copy_context()  # a plugin's log lines keep their request id

    def work() -> None:
        try:
            value = context.run(function)
        except BaseException as error:  # noqa: BLE001  SystemExit in a plugin must not pass for success
            future.set_exception(Raised(error))
        else:
            future.set_result(value)

    threading.Thread(target=work, name="modelyard-plugin", daemon=True).start()
    return future
