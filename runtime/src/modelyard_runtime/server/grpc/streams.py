"""ModelStreamInfer: requests and answers on one call, in order, each request failing by itself.

While one request runs the next one is read, and no further: the client's window does the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Self

from modelyard_runtime.oip import messages
from modelyard_runtime.oip.datatypes import OipError
from modelyard_runtime.oip.messages import GrpcRequest
from modelyard_runtime.scoring import InferStream
from modelyard_runtime.server.grpc.calls import ENDINGS, PREFIX, PREFIX_SIZE, Call
from modelyard_runtime.server.grpc.inference import SERVICE
from modelyard_runtime.server.grpc.methods import Method
from modelyard_runtime.server.inference import not_tensors, request_for
from modelyard_runtime.server.problems import BadInput, Disconnected, ScoringTimeout, problem_of
from modelyard_runtime.worker.replies import Inferred
from modelyard_runtime.worker.requests import Buffer


class Incoming:
    """The messages of a call, one at a time.

    Reading them and seeing the client leave are one thing in ASGI, so a task of its own reads; it ends
    with the `async with`, whose body it cancels when the client has left: that raises `Disconnected`.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._buffer = bytearray()
        self._ready: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(maxsize=1)
        self._left = asyncio.Event()
        self._reader: asyncio.Task[None]
        self._conversation: asyncio.Task[Any]

    async def __aenter__(self) -> Self:
        conversation = asyncio.current_task()
        if conversation is None:
            raise RuntimeError("a call is served by a task")
        self._conversation = conversation
        self._reader = asyncio.get_running_loop().create_task(self._read())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is asyncio.CancelledError and self._left.is_set():
            self._conversation.uncancel()
            raise Disconnected
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        item = await self._ready.get()
        if item is None:
            raise StopAsyncIteration
        if isinstance(item, Exception):
            raise item
        return item

    async def gone(self) -> None:
        """Return when the client has left."""
        await self._left.wait()

    async def _read(self) -> None:
        try:
            await self._read_all()
            await self._ready.put(None)
            await self._call.gone()
            self._leave()
        except Disconnected:
            self._leave()
        except ENDINGS as error:
            await self._ready.put(error)

    def _leave(self) -> None:
        self._left.set()
        self._conversation.cancel()

    async def _read_all(self) -> None:
        more = True
        while more:
            received = await asyncio.shield(self._call.receive())  # the server does not expect it cancelled
            if received["type"] == "http.disconnect":
                raise Disconnected
            self._buffer += received["body"]
            more = received["more_body"]
            while (message := await self._next()) is not None:
                await self._ready.put(message)
        if self._buffer:
            raise BadInput("the last message is cut off")

    async def _next(self) -> bytes | None:
        if len(self._buffer) < PREFIX_SIZE:
            return None
        compressed, length = PREFIX.unpack_from(self._buffer)
        if length > self._call.service.contract.max_body_bytes:
            raise self._call.too_large(length)
        end = PREFIX_SIZE + length
        if len(self._buffer) < end:
            return None
        message = bytes(memoryview(self._buffer)[PREFIX_SIZE:end])
        del self._buffer[:end]
        return await self._call.expand(memoryview(message)) if compressed else message


async def patiently(call: Call, conversation: Coroutine[None, None, None]) -> None:
    """Run a stream's conversation within the client's own deadline. Raises `ScoringTimeout`."""
    try:
        async with asyncio.timeout(call.left_s()):
            await conversation
    except TimeoutError as error:
        raise ScoringTimeout("the stream's grpc-timeout has passed") from error


def stream(respond: Callable[[Call, Incoming, bytes], Awaitable[None]], *, counts: int = 0) -> Method:
    """Make a method of a conversation: messages are responded to one after the other."""

    async def converse(call: Call) -> None:
        async with Incoming(call) as incoming:
            async for message in incoming:
                await respond(call, incoming, message)

    async def perform(call: Call) -> None:
        await call.start()
        await patiently(call, converse(call))
        await call.succeed()

    return Method(perform, counts)


async def _one(call: Call, incoming: Incoming, message: Buffer) -> None:
    identifier = b""
    try:
        asked = messages.decode(message)
        identifier = asked.id
        await _answer(call, incoming, asked)
    except OipError as error:
        await _tell(call, BadInput(str(error), place=error.place), identifier)
    except ENDINGS as error:
        await _tell(call, error, identifier)


async def _answer(call: Call, incoming: Incoming, asked: GrpcRequest) -> None:
    service = call.service
    limit = service.deadline()
    key = (asked.model, asked.version)
    pool = service.pools.get(key) or await service.find(*key, min(limit, call.client_deadline))
    request = request_for(pool, asked.inputs, asked.outputs, call.scope)
    reply = await pool.submit(request, limit, incoming.gone, caller_deadline=call.client_deadline)
    model = asked.model or service.main
    version = asked.version or service.models[model][-1]
    if isinstance(reply, InferStream):
        await _pour(call, asked, (model, version), reply)
    elif isinstance(reply, Inferred):
        answer = messages.stream_response(model, version, asked.id, reply.outputs, final=True)
        await call.answer((answer.SerializeToString(),), last=False)
    else:
        raise not_tensors(reply)


async def _pour(call: Call, asked: GrpcRequest, served: tuple[str, str], stream: InferStream) -> None:
    try:
        async for outputs in stream.parts:
            answer = messages.stream_response(*served, asked.id, outputs, final=False)
            await call.answer((answer.SerializeToString(),), last=False)
    finally:
        stream.parts.close()
    if asked.empty_final:
        answer = messages.stream_response(*served, asked.id, (), final=True)
        await call.answer((answer.SerializeToString(),), last=False)


async def _tell(call: Call, error: Exception, identifier: bytes) -> None:
    answer = messages.stream_error(str(problem_of(error)), identifier)
    await call.answer((answer.SerializeToString(),), last=False)


METHODS = {f"{SERVICE}ModelStreamInfer": stream(_one, counts=1)}
