"""Streams as JSON lines: values as they come, a sign of life in silence, an error as the last line."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from modelyard.api import ModelyardError
from modelyard.client import failures, wire

MEDIA_TYPE = "application/x-ndjson"
SIGN_OF_LIFE_SECONDS = 1.0
_END = object()


async def json_lines(
    values: AsyncIterator[Any], *, silence_seconds: float = SIGN_OF_LIFE_SECONDS
) -> AsyncIterator[bytes]:
    """Yield one line a value, an empty line after each `silence_seconds` without one."""
    step: asyncio.Task[Any] | None = None
    try:
        while True:
            step = step or asyncio.ensure_future(_next(values))
            done, _ = await asyncio.wait({step}, timeout=silence_seconds)
            if not done:
                yield b"\n"
                continue
            value, step = step.result(), None
            if value is _END:
                return
            yield _line({"value": wire.to_raw(value)})
    except ModelyardError as error:
        yield _line({"error": failures.error_to_raw(error)})
    finally:
        await _abandon(step, values)


async def _next(values: AsyncIterator[Any]) -> Any:
    return await anext(values, _END)


async def _abandon(step: asyncio.Task[Any] | None, values: AsyncIterator[Any]) -> None:
    if step is not None and not step.done():
        step.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await step
    close = getattr(values, "aclose", None)
    if close is not None:
        await close()


def _line(raw: dict[str, Any]) -> bytes:
    return json.dumps(raw, allow_nan=False, separators=(",", ":")).encode() + b"\n"
