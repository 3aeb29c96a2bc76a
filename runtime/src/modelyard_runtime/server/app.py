"""The ASGI application: a table of paths.

Health and status never wait behind a model: model code has threads or processes of its own.
"""

from __future__ import annotations

import logging

import orjson

from modelyard_runtime.contract import STATUS_PATH
from modelyard_runtime.pairing import DRAIN_PATH
from modelyard_runtime.server import open_inference, strict_v1
from modelyard_runtime.server.grpc import later as grpc
from modelyard_runtime.server.http import (
    HTML,
    JSON,
    NOT_FAILED,
    Exchange,
    Handler,
    Receive,
    Route,
    Scope,
    Send,
    route,
)
from modelyard_runtime.server.problems import NotFound, NotReady
from modelyard_runtime.server.score import score
from modelyard_runtime.server.service import Service
from modelyard_runtime.server.swagger import swagger
from modelyard_runtime.server.v1_words import NO_SUCH_PATH

log = logging.getLogger(__name__)

OPEN_INFERENCE = "/v2"


class Application:
    """One service over ASGI."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._routes, self._nowhere = ROUTES, NOWHERE
        if service.strict:
            as_v1, self._nowhere = strict_v1.routes(service.contract, _LOOKED_AT, _not_found)
            self._routes = {**ROUTES, **as_v1}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        serve = self._routes.get(scope["path"]) or _other(scope) or self._nowhere
        await serve(self._service, scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "lifespan.startup":
            self._service.start()
            await send({"type": "lifespan.startup.complete"})
        await self._service.close()
        await send({"type": "lifespan.shutdown.complete"})


def _other(scope: Scope) -> Route | None:
    path: str = scope["path"]
    if path.startswith(f"{OPEN_INFERENCE}/"):
        return open_inference.serve
    if any(
        name == b"content-type" and value.startswith(grpc.CONTENT_TYPE) for name, value in scope["headers"]
    ):
        return grpc.serve
    return None


async def _not_found(_exchange: Exchange) -> None:
    raise NotFound(NO_SUCH_PATH)


async def _health(exchange: Exchange) -> None:
    if await _told_methods(exchange):
        return
    service = exchange.service
    if not service.ready:
        raise NotReady(service.unready)
    await exchange.answer(200, [HTML], b"Healthy" if exchange.method == "GET" else b"")


def _for_the_parent(exchange: Exchange) -> None:
    """Answer on the replica's own socket alone: a TCP port is for whoever can reach it."""
    if exchange.scope.get("server") is not None:
        raise NotFound(NO_SUCH_PATH)


async def _status(exchange: Exchange) -> None:
    _for_the_parent(exchange)
    exchange.allow("GET")
    await exchange.answer_json(exchange.service.status())


async def _drain(exchange: Exchange) -> None:
    _for_the_parent(exchange)
    exchange.allow("POST")
    await exchange.service.drain()
    await exchange.answer_json(exchange.service.status())


async def _swagger(exchange: Exchange) -> None:
    if await _told_methods(exchange):
        return
    service = exchange.service
    document = orjson.dumps(
        swagger(service.contract, service.catalog.description, exchange.scope["query_string"])
    )
    await exchange.answer(200, [JSON, NOT_FAILED], document if exchange.method == "GET" else b"")


async def _told_methods(exchange: Exchange) -> bool:
    """Answer OPTIONS, as v1 did; the other methods but GET and HEAD are refused."""
    exchange.allow("GET", "HEAD", "OPTIONS")
    if exchange.method == "OPTIONS":
        await exchange.answer(200, [HTML, (b"allow", b"GET, HEAD, OPTIONS")], b"")
    return exchange.method == "OPTIONS"


NOWHERE = route(_not_found)
_LOOKED_AT: dict[str, Handler] = {"/": _health, "/swagger.json": _swagger}

ROUTES: dict[str, Route] = {
    **{path: route(handler) for path, handler in _LOOKED_AT.items()},
    "/score": score,
    OPEN_INFERENCE: open_inference.serve,
    grpc.MODEL_INFER: grpc.serve,
    STATUS_PATH: route(_status),
    DRAIN_PATH: route(_drain),
}
