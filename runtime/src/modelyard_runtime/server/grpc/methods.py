"""What a method is to the table: who performs it, and whether a drain waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from modelyard_runtime.server.grpc.calls import Call
from modelyard_runtime.server.problems import BadInput

M = TypeVar("M", bound=Message)


class Method(NamedTuple):
    """`perform` reads, answers and ends the call, or raises; `counts` is 1 for what scores, else 0."""

    perform: Callable[[Call], Awaitable[None]]
    counts: int = 0


def unary(kind: type[M], respond: Callable[[Call, M], Awaitable[Message]]) -> Method:
    """Make a method of one message in and one out; not for scoring, which has a shorter way."""

    async def perform(call: Call) -> None:
        reply = await respond(call, parse(kind, *await call.message()))
        await call.answer((reply.SerializeToString(),), last=True)

    return Method(perform)


def parse(kind: type[M], body: Any, start: int = 0) -> M:
    """Read a message that begins at `start`. Raises `BadInput`."""
    try:
        return kind.FromString(bytes(body[start:]))
    except DecodeError as error:
        raise BadInput(f"the message is not a {kind.DESCRIPTOR.name}") from error
