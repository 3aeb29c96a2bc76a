"""HTTP on ASGI: reading bodies within their limit, request ids, answers."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson

from modelyard_runtime.server.problems import Disconnected, HeaderTooLarge, Problem, TooLarge

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


async def answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Send one whole answer."""
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def answer_json(send: Send, document: Any, ids: Ids) -> None:
    """Send a JSON document with status 200."""
    await answer(send, 200, [JSON, *ids.headers()], orjson.dumps(document))


async def answer_problem(send: Send, problem: Problem, ids: Ids) -> None:
    """Send the one error body."""
    body = orjson.dumps(
        {
            "code": problem.code,
            "message": str(problem),
            "request_id": ids.request.decode("latin-1"),
        }
    )
    failed = b"True" if problem.run_failed else b"False"
    headers = [JSON, (b"x-ms-run-function-failed", failed), *problem.headers, *ids.headers()]
    await answer(send, problem.status, headers, body)
