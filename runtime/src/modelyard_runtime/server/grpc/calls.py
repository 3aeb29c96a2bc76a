"""One gRPC call on ASGI: its metadata, its messages in, its messages out, its end."""

from __future__ import annotations

import asyncio
import math
import struct
import time
from collections.abc import Sequence
from typing import Any

from modelyard_runtime.scoring import Failure, Refusal
from modelyard_runtime.server.grpc import compression, status
from modelyard_runtime.server.grpc.later import CONTENT_TYPE
from modelyard_runtime.server.http import Headers, Receive, Scope, Send, disconnected
from modelyard_runtime.server.problems import BadInput, Disconnected, Problem, TooLarge, problem_of
from modelyard_runtime.server.service import Service
from modelyard_runtime.worker.requests import Buffer

PREFIX = struct.Struct(">BI")
"""Before each message: whether it is compressed, and its length."""
PREFIX_SIZE = PREFIX.size
MAX_MESSAGE_BYTES = 2**31 - 1
"""protobuf's own limit."""
LARGE = 1 << 16
"""From here on a piece is sent by itself rather than copied into one message with its neighbours."""
_UNITS_S = {0x48: 3600.0, 0x4D: 60.0, 0x53: 1.0, 0x6D: 1e-3, 0x75: 1e-6, 0x6E: 1e-9}
"""H, M, S, m, u, n."""
_MAX_TIMEOUT_DIGITS = 8

_KIND = (b"content-type", CONTENT_TYPE)
_PLAIN_TAKEN = (b"grpc-accept-encoding", compression.IDENTITY)
_GZIP_TAKEN = (b"grpc-accept-encoding", compression.ACCEPTED)
_GZIPPED = (b"grpc-encoding", compression.GZIP)


def _start(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": list(headers), "trailers": True}


_PLAIN_START = _start(_KIND)
"""Nearly every call's. A header costs a microsecond, so none is sent that nobody needs."""
_GZIP_START = _start(_KIND, _GZIPPED, _GZIP_TAKEN)
_FAILED_START = _start(_KIND, _PLAIN_TAKEN)
_FAILED_GZIP_START = _start(_KIND, _GZIP_TAKEN)
_SUCCESS = {"type": "http.response.trailers", "headers": status.SUCCESS, "more_trailers": False}


class Call:
    """A call under way. Its client's `grpc-timeout` is a part of `deadline`, on `time.monotonic()`."""

    __slots__ = (
        "client_deadline",
        "deadline",
        "headers",
        "limit",
        "receive",
        "scope",
        "send",
        "service",
        "started",
        "zipped",
    )

    def __init__(self, service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        self.service = service
        self.scope = scope
        self.receive = receive
        self.send = send
        self.headers: Headers = dict(scope["headers"])
        self.started = False
        self.zipped = False
        """Whether answers are compressed."""
        self.deadline = self.limit = service.deadline()
        """`limit` is the service's alone: until then its work may go on."""
        self.client_deadline = math.inf
        """What `grpc-timeout` alone says: it is a stream's, whose requests each have the service's time."""

    def prepare(self) -> None:
        """Read the metadata that any call may carry. Raises `BadInput`, `Unimplemented`."""
        headers, contract = self.headers, self.service.contract
        timeout = headers.get(b"grpc-timeout")
        if timeout is not None:
            self.client_deadline = time.monotonic() + timeout_s(timeout)
            self.deadline = min(self.deadline, self.client_deadline)
        encoding = headers.get(b"grpc-encoding")
        if encoding is not None:
            compression.check_encoding(encoding, allowed=contract.compression)
        if contract.compression:
            accepted = headers.get(b"grpc-accept-encoding", b"").replace(b" ", b"").split(b",")
            self.zipped = compression.GZIP in accepted

    async def gone(self) -> None:
        """Return when the client has left; for unary calls, once their message is read."""
        await disconnected(self.receive)

    def left_s(self) -> float | None:
        """Return how long the client will go on waiting; None = it did not say."""
        if self.client_deadline == math.inf:
            return None
        return max(0.0, self.client_deadline - time.monotonic())

    async def message(self) -> tuple[Buffer, int]:
        """Read the one message of a unary call; it begins at the offset. Raises a `Problem`, `Disconnected`."""
        received = await self.receive()
        if received["type"] == "http.disconnect":
            raise Disconnected
        body: bytes = received["body"]
        if received["more_body"]:
            body = await self._rest(body)
        if len(body) < PREFIX_SIZE:
            raise BadInput("the call carries no whole message")
        compressed, length = PREFIX.unpack_from(body)
        if length != len(body) - PREFIX_SIZE:
            raise BadInput(f"the message says {length} bytes, {len(body) - PREFIX_SIZE} came")
        if length > self.service.contract.max_body_bytes:
            raise self.too_large(length)
        return (await self.expand(memoryview(body)[PREFIX_SIZE:]), 0) if compressed else (body, PREFIX_SIZE)

    async def expand(self, message: memoryview) -> bytes:
        """Undo a message's compression; a large one's off the event loop. Raises a `Problem`."""
        if b"grpc-encoding" not in self.headers:
            raise BadInput("a message is marked as compressed, but no grpc-encoding says how")
        if self.headers[b"grpc-encoding"] == compression.IDENTITY:
            raise BadInput("a message is marked as compressed, but grpc-encoding is identity")
        contract = self.service.contract
        limits = {"limit": contract.max_body_bytes, "ratio": contract.max_compression_ratio}
        if len(message) < LARGE:
            return compression.decompress(message, **limits)
        return await asyncio.to_thread(compression.decompress, message, **limits)

    def too_large(self, length: int) -> TooLarge:
        """Say that a message is over the service's limit."""
        return TooLarge(
            f"the message has {length} bytes, the limit is {self.service.contract.max_body_bytes}"
        )

    async def start(self) -> None:
        """Send the headers, once."""
        if not self.started:
            self.started = True
            await self.send(_GZIP_START if self.zipped else _PLAIN_START)

    async def answer(self, parts: Sequence[Buffer], *, last: bool) -> None:
        """Send one message, given in pieces, and with the last one the call's success."""
        size = sum(map(len, parts))
        if size > MAX_MESSAGE_BYTES:
            raise TooLarge(f"the answer has {size} bytes, protobuf ends at {MAX_MESSAGE_BYTES}")
        compressed = self.zipped and size >= compression.SMALLEST
        if compressed:
            parts, size = await _compress(parts)
        send = self.send
        if not self.started:
            self.started = True
            await send(_GZIP_START if self.zipped else _PLAIN_START)
        prefix = PREFIX.pack(compressed, size)
        if size < LARGE:
            body = b"".join((prefix, *parts))
            await send({"type": "http.response.body", "body": body, "more_body": not last})
        else:
            for piece in _pieces(prefix, parts):
                await send(_body(piece, more=True))
            if last:
                await send(_body(b"", more=False))
        if last:
            await send(_SUCCESS)

    async def succeed(self) -> None:
        """End a call whose messages have been sent."""
        await self.start()
        await self.send(_body(b"", more=False))
        await self.send(_SUCCESS)

    async def fail(self, error: Exception) -> None:
        """End the call with what went wrong; nobody is told where nobody is left."""
        try:
            problem = problem_of(error)
        except Disconnected:
            return
        if not self.started:
            self.started = True
            await self.send(_FAILED_GZIP_START if self.service.contract.compression else _FAILED_START)
        await self.send(_body(b"", more=False))
        await self.send(
            {"type": "http.response.trailers", "headers": status.trailers(problem), "more_trailers": False}
        )

    async def _rest(self, first: bytes) -> bytes:
        parts, size = [first], len(first)
        limit = self.service.contract.max_body_bytes
        if size >= PREFIX_SIZE and PREFIX.unpack_from(first)[1] > limit:
            raise self.too_large(PREFIX.unpack_from(first)[1])
        while True:
            received = await self.receive()
            if received["type"] == "http.disconnect":
                raise Disconnected
            part = received["body"]
            if part:
                parts.append(part)
                size += len(part)
                if size > limit + PREFIX_SIZE:
                    raise self.too_large(size)
            if not received["more_body"]:
                return first if len(parts) == 1 else b"".join(parts)


ENDINGS = (Problem, Failure, Refusal)
"""How a call can end badly without anything being wrong with this server."""


def timeout_s(text: bytes) -> float:
    """Read `grpc-timeout`. Raises `BadInput`."""
    digits = text[:-1]
    if not digits.isdigit() or len(digits) > _MAX_TIMEOUT_DIGITS or text[-1] not in _UNITS_S:
        raise BadInput(
            f"grpc-timeout '{text.decode('latin-1')}' is not a number of up to 8 digits and a unit"
        )
    return int(digits) * _UNITS_S[text[-1]]


async def _compress(parts: Sequence[Buffer]) -> tuple[Sequence[Buffer], int]:
    content = b"".join(parts)
    if len(content) < LARGE:
        packed = compression.compress(content)
    else:
        packed = await asyncio.to_thread(compression.compress, content)
    return (packed,), len(packed)


def _pieces(prefix: bytes, parts: Sequence[Buffer]) -> list[bytes]:
    """Join neighbours that are small, leave the large as they are."""
    pieces: list[bytes] = []
    small: list[Buffer] = [prefix]
    for part in parts:
        if len(part) < LARGE:
            small.append(part)
        else:
            pieces += (b"".join(small), part if isinstance(part, bytes) else bytes(part))
            small = []
    if small:
        pieces.append(b"".join(small))
    return [piece for piece in pieces if piece]


def _body(content: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}
