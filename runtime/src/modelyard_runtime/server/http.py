"""HTTP on ASGI: reading bodies within their limit, request ids, answers."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import orjson

from modelyard_runtime.scoring import Failure, Refusal
from modelyard_runtime.server.problems import (
    NO_SUCH_METHOD,
    UNEXPECTED,
    Disconnected,
    HeaderTooLarge,
    MethodNotAllowed,
    Problem,
    TooLarge,
    problem_of,
)

if TYPE_CHECKING:
    from modelyard_runtime.server.service import Service

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = dict[bytes, bytes]
Route = Callable[["Service", Scope, Receive, Send], Awaitable[None]]

JSON = (b"content-type", b"application/json")
HTML = (b"content-type", b"text/html; charset=utf-8")
NOT_FAILED = (b"x-ms-run-function-failed", b"False")
FAILED = (b"x-ms-run-function-failed", b"True")
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.1, 1.0
MAX_ID_CHARACTERS = 100
"""v1's limit for each request id."""
LONG_ID = f"x-request-id must not exceed {MAX_ID_CHARACTERS} characters"
LONG_OLDER_ID = f"x-ms-request-id and x-ms-client-request-id must not exceed {MAX_ID_CHARACTERS} characters"


class Exchange:
    """One request and the way to answer it."""

    __slots__ = ("echoed", "headers", "method", "receive", "scope", "send", "service")

    def __init__(self, service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        self.service = service
        self.scope = scope
        self.receive = receive
        self.send = send
        self.method: str = scope["method"]
        self.headers: Headers = dict(scope["headers"])
        self.echoed: list[tuple[bytes, bytes]] = []
        """What every answer repeats."""

    def echo(self) -> list[tuple[bytes, bytes]]:
        """Work out what answers repeat: v1's request-id trio, and what a browser must see.

        Envoy gives each request an x-request-id. Raises `HeaderTooLarge` for ids over 100 characters.
        """
        sent = self.headers
        request_id = sent.get(b"x-request-id") or self.named()
        if len(request_id) > MAX_ID_CHARACTERS:
            raise HeaderTooLarge(LONG_ID)
        found = [(b"x-request-id", request_id), (b"x-ms-request-id", request_id)]
        if not sent.keys().isdisjoint(_RARE):
            self._echo_rare(found)
        elif self.service.cors.anybody:
            found += self.service.cors.anybody
        return found

    def allow(self, *methods: str) -> None:
        """Refuse other methods. Raises `MethodNotAllowed`."""
        if self.method not in methods:
            raise MethodNotAllowed(NO_SUCH_METHOD)

    async def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send one whole answer, with what every answer repeats."""
        headers += self.echoed
        headers.append((b"content-length", b"%d" % len(body)))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    async def answer_json(self, document: Any) -> None:
        """Send a JSON document with status 200."""
        await self.answer(200, [JSON], orjson.dumps(document))

    async def answer_problem(self, problem: Problem) -> None:
        """Send the one error body."""
        if not self.echoed:
            self._cut_ids()
            self.echoed = self.echo()
        body = {"code": problem.code, "message": writable(str(problem))}
        if problem.place:
            body["path"] = writable(problem.place)
        body["request_id"] = self.headers[b"x-request-id"].decode("latin-1")
        await self.answer(problem.status, headers_of(problem), orjson.dumps(body))

    async def body(self) -> bytes:
        """Read the whole body, counting as it comes. Raises `TooLarge` or `Disconnected`."""
        limit = self.service.contract.max_body_bytes
        announced = self.headers.get(b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > limit:
            raise TooLarge(f"the body has {int(announced)} bytes, the limit is {limit}")
        message = await self.receive()
        if not message.get("more_body", False) and message["type"] == "http.request":
            only: bytes = message["body"]
            if len(only) <= limit:
                return only
        return await read_rest(message, self.receive, limit)

    async def gone(self) -> None:
        """Return when the client has left; to be used once the body is read."""
        await disconnected(self.receive)

    def named(self) -> bytes:
        """Give the request an id, for it came without one."""
        self.headers[b"x-request-id"] = name = str(uuid.uuid4()).encode()
        return name

    def older_ids(self) -> list[tuple[bytes, bytes]]:
        """Return v1's two older ids; nothing where none was sent. Raises `HeaderTooLarge`."""
        sent = self.headers
        legacy, client = sent.get(b"x-ms-request-id", b""), sent.get(b"x-ms-client-request-id", b"")
        if len(legacy) > MAX_ID_CHARACTERS or len(client) > MAX_ID_CHARACTERS:
            raise HeaderTooLarge(LONG_OLDER_ID)
        if not legacy and not client:
            return []
        return [(b"x-ms-request-id", legacy or client), (b"x-ms-client-request-id", client or legacy)]

    def _echo_rare(self, found: list[tuple[bytes, bytes]]) -> None:
        sent = self.headers
        if ids := self.older_ids():
            found[1:] = ids
        if b"traceid" in sent:
            found.append((b"traceid", sent[b"traceid"]))
        if b"origin" in sent:
            found += self.service.cors.headers(sent[b"origin"])
        else:
            found += self.service.cors.anybody

    def _cut_ids(self) -> None:
        self.headers.setdefault(b"x-request-id", str(uuid.uuid4()).encode())
        for name in _IDS:
            if name in self.headers:
                self.headers[name] = self.headers[name][:MAX_ID_CHARACTERS]


Handler = Callable[[Exchange], Awaitable[None]]
ExchangeOf = Callable[["Service", Scope, Receive, Send], Exchange]
_IDS = (b"x-request-id", b"x-ms-request-id", b"x-ms-client-request-id")
_RARE = frozenset({b"x-ms-request-id", b"x-ms-client-request-id", b"traceid", b"origin"})


def route(handler: Handler, exchange_of: ExchangeOf = Exchange, *, counted: bool = False) -> Route:
    """Make an ASGI route of a handler. `counted`: a drain waits until its answer has left."""
    weight = int(counted)

    async def serve(service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(service, scope, receive, send)
        service.open += weight
        try:
            exchange.echoed = exchange.echo()
            await handler(exchange)
        except Disconnected:
            log.debug("the client left before its answer")
        except (Problem, Failure, Refusal) as error:
            await _tell(exchange, error)
        except Exception:  # a mistake of ours must not leave a client without an answer
            log.exception("%s %s failed", scope["method"], scope["path"])
            await exchange.answer_problem(Problem(UNEXPECTED))
        finally:
            service.open -= weight

    return serve


def headers_of(problem: Problem) -> list[tuple[bytes, bytes]]:
    """Return the headers that an error has of its own."""
    headers = [JSON, FAILED if problem.run_failed else NOT_FAILED]
    if problem.retry_after_s:
        headers.append((b"retry-after", b"%d" % problem.retry_after_s))
    return headers


def writable(text: str) -> str:
    """Return text that UTF-8 can carry: a path may have held any bytes."""
    return text.encode("utf-8", "replace").decode()


async def _tell(exchange: Exchange, error: Exception) -> None:
    try:
        problem = problem_of(error)
    except Disconnected:
        return
    await exchange.answer_problem(problem)


async def read_rest(message: Message, receive: Receive, limit: int) -> bytes:
    """Read a body of several messages, the first of which has come. Raises `TooLarge` or `Disconnected`."""
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise TooLarge(f"the body passes the limit of {limit} bytes")
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone; to be used once the body is read.

    Asks now and then, ever more seldom: after the body pyvoy answers at once, again and again, until the
    client leaves, and hundreds may be watched at a time.
    """
    pause_s = _FIRST_PAUSE_S
    # shielded: who watches may be cancelled, but the server does not expect that of what it is asked
    while (await asyncio.shield(receive()))["type"] != "http.disconnect":
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LAST_PAUSE_S)
