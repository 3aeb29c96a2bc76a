"""HTTP on ASGI: reading bodies within their limit, request ids, answers."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson

from modelyard_runtime.server.problems import (
    Disconnected,
    HeaderTooLarge,
    MethodNotAllowed,
    Problem,
    TooLarge,
)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = dict[bytes, bytes]

JSON = (b"content-type", b"application/json")
MAX_ID_CHARACTERS = 100
"""v1's limit for each request id."""


@dataclass(frozen=True, slots=True)
class Ids:
    """The request-id trio of v1: its own, the legacy one, the client's ("" = not sent)."""

    request: bytes
    legacy: bytes
    client: bytes

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return them as response headers."""
        found = [(b"x-request-id", self.request), (b"x-ms-request-id", self.legacy)]
        if self.client:
            found.append((b"x-ms-client-request-id", self.client))
        return found


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and the way to answer it."""

    scope: Scope
    receive: Receive
    send: Send
    headers: Headers
    ids: Ids

    def allow(self, *methods: str) -> None:
        """Refuse other methods. Raises `MethodNotAllowed`."""
        if self.scope["method"] not in methods:
            raise MethodNotAllowed("The method is not allowed for the requested URL.")

    async def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send one whole answer, with the request's ids."""
        headers += [*self.ids.headers(), (b"content-length", b"%d" % len(body))]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    async def answer_json(self, document: Any) -> None:
        """Send a JSON document with status 200."""
        await self.answer(200, [JSON], orjson.dumps(document))

    async def answer_problem(self, problem: Problem) -> None:
        """Send the one error body."""
        body = {
            "code": problem.code,
            "message": str(problem),
            "request_id": self.ids.request.decode("latin-1"),
        }
        failed = b"True" if problem.run_failed else b"False"
        headers = [JSON, (b"x-ms-run-function-failed", failed), *problem.headers]
        await self.answer(problem.status, headers, orjson.dumps(body))

    async def body(self, limit: int) -> bytes:
        """Read the whole body. Raises `TooLarge` or `Disconnected`."""
        return await read_body(self.receive, self.headers, limit)

    async def gone(self) -> None:
        """Return when the client has left; to be used once the body is read."""
        await disconnected(self.receive)


def identify(headers: Headers) -> Ids:
    """Work out the ids of a request by v1's table; ids over the limit are cut, `check_ids` refuses them."""
    request = headers.get(b"x-request-id") or str(uuid.uuid4()).encode()
    legacy, client = headers.get(b"x-ms-request-id", b""), headers.get(b"x-ms-client-request-id", b"")
    if len(request) > MAX_ID_CHARACTERS or len(legacy) > MAX_ID_CHARACTERS or len(client) > MAX_ID_CHARACTERS:
        request, legacy, client = (item[:MAX_ID_CHARACTERS] for item in (request, legacy, client))
    return Ids(request, legacy or client or request, client or legacy)


def check_ids(headers: Headers) -> None:
    """Refuse ids over 100 characters. Raises `HeaderTooLarge`."""
    if len(headers.get(b"x-request-id", b"")) > MAX_ID_CHARACTERS:
        raise HeaderTooLarge("x-request-id must not exceed 100 characters")
    for name in (b"x-ms-request-id", b"x-ms-client-request-id"):
        if len(headers.get(name, b"")) > MAX_ID_CHARACTERS:
            raise HeaderTooLarge("x-ms-request-id and x-ms-client-request-id must not exceed 100 characters")


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """Read a whole body, counting as it comes. Raises `TooLarge` or `Disconnected`."""
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limit:
        raise TooLarge(f"the body has {int(announced)} bytes, the limit is {limit}")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLarge(f"the body passes the limit of {limit} bytes")
        if not message.get("more_body", False):
            return bytes(part) if not parts else b"".join([*parts, part])
        parts.append(part)


def readable(headers: Headers) -> dict[str, str]:
    """Return request headers as `run(data, request_headers)` gets them: names as v1 wrote them."""
    return {name.decode("latin-1").title(): value.decode("latin-1") for name, value in headers.items()}


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone; to be used once the body is read."""
    while (await receive())["type"] != "http.disconnect":
        pass
