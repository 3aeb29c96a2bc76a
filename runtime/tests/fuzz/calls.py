"""gRPC calls whose client sends whatever it likes, in whatever pieces: what their framing makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from typing import Any

from modelyard_runtime.contract import StartContract
from modelyard_runtime.server.grpc.calls import ENDINGS, PREFIX_SIZE, Call
from modelyard_runtime.server.grpc.streams import Incoming
from modelyard_runtime.server.problems import Disconnected
from modelyard_runtime.server.service import Service

LIMIT_BYTES = 512
_ENCODINGS: tuple[tuple[tuple[bytes, bytes], ...], ...] = (
    (),
    ((b"grpc-encoding", b"gzip"),),
    ((b"grpc-encoding", b"identity"),),
    ((b"grpc-timeout", b"5S"),),
)


def grpc_call(data: bytes) -> None:
    """Read a call's one message; it is no longer than the limit."""
    _loop().run_until_complete(_unary(data))


def grpc_stream(data: bytes) -> None:
    """Read a stream's messages; together they are no more than was sent, each within the limit."""
    _loop().run_until_complete(_stream(data))


async def _unary(data: bytes) -> None:
    call = _call(data)
    try:
        call.prepare()
        body, start = await call.message()
    except (*ENDINGS, Disconnected):
        return
    assert len(body) - start <= LIMIT_BYTES


async def _stream(data: bytes) -> None:
    messages = []
    try:
        call = _call(data)
        call.prepare()
        async with Incoming(call) as incoming:
            async for message in incoming:
                messages.append(message)  # noqa: PERF401  # those before a failure count too
    except (*ENDINGS, Disconnected):
        pass
    assert all(len(message) <= LIMIT_BYTES for message in messages)
    assert len(messages) <= len(data) // PREFIX_SIZE


def _call(data: bytes) -> Call:
    """Make a call of bytes: the first says which metadata it has, the second how its body is cut."""
    headers = list(_ENCODINGS[data[0] % len(_ENCODINGS)]) if data else []
    pieces = _pieces(data[2:], data[1] if len(data) > 1 else 0)

    async def receive() -> dict[str, Any]:
        return next(pieces, {"type": "http.disconnect"})

    async def send(_message: Any) -> None:
        raise AssertionError("nobody answers here")

    return Call(_service(), {"type": "http", "headers": headers}, receive, send)


def _pieces(body: bytes, cut: int) -> Iterator[dict[str, Any]]:
    size = cut % 16 or len(body) + 1
    parts = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    for part in parts[:-1]:
        yield {"type": "http.request", "body": part, "more_body": True}
    yield {"type": "http.request", "body": parts[-1], "more_body": cut >= 240}  # some end without an end


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@cache
def _service() -> Service:
    names = dict.fromkeys(("replica", "run_dir", "log_dir", "code_dir"), "/nowhere")
    return Service(
        StartContract(
            service="digits",
            revision=3,
            entry="score.py",
            max_body_bytes=LIMIT_BYTES,
            compression=True,
            **names,  # type: ignore[arg-type]  # all of them are text
        )
    )
