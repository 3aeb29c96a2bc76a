"""Run a program to its end, line by line, with a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import attrs

from modelyard.api import Unavailable

TAIL_LINES = 200
LINE_LIMIT_BYTES = 8_000
"""Longer lines are cut into several: a progress bar without newlines must not fill memory."""
_CHUNK_BYTES = 65_536


@attrs.frozen
class Completed:
    """How a program ended: exit status (negative = signal) and the last lines it said."""

    status: int
    output_tail: str


async def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float,
    on_line: Callable[[str], None] | None = None,
) -> Completed:
    """Run `argv`; output and errors come as one stream. Past the limit, or cancelled, it is killed whole.

    `env` None = this process's own. Raises `Unavailable` when it cannot start or takes too long.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(
            f"cannot start {argv[0]}: {error.strerror}", remedy="check that the program is installed"
        ) from error
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    try:
        async with asyncio.timeout(timeout_seconds):
            async for line in _lines(process.stdout):
                tail.append(line)
                if on_line is not None:
                    on_line(line)
            status = await process.wait()
    except TimeoutError as error:
        last = tail[-1] if tail else "nothing"
        raise Unavailable(
            f"{Path(argv[0]).name} did not finish in {timeout_seconds:g} s; the last it said: {last}",
            remedy="try again; check the network if it downloads",
        ) from error
    finally:
        await _end(process)
    return Completed(status=status, output_tail="\n".join(tail))


async def _lines(stream: asyncio.StreamReader | None) -> AsyncIterator[str]:
    pending = b""
    while stream is not None and (chunk := await stream.read(_CHUNK_BYTES)):
        *whole, pending = (pending + chunk).split(b"\n")
        for line in whole:
            yield _text(line)
        while len(pending) > LINE_LIMIT_BYTES:
            yield _text(pending[:LINE_LIMIT_BYTES])
            pending = pending[LINE_LIMIT_BYTES:]
    if pending:
        yield _text(pending)


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").rstrip("\r")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        # Its session is its own group: children that it left behind end with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def run_quickly(argv: Sequence[str], *, timeout_seconds: float) -> Completed:
    """Run a short program without an event loop; the calling thread waits for it. Errors as `run`."""
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_seconds,
            check=False,
        )
    except OSError as error:
        raise Unavailable(
            f"cannot start {argv[0]}: {error.strerror}", remedy="check that the program is installed"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"{Path(argv[0]).name} did not finish in {timeout_seconds:g} s", remedy="try again"
        ) from error
    return Completed(status=done.returncode, output_tail=done.stdout.decode(errors="replace").strip())
