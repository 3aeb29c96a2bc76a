"""The ASGI application: a table of paths, and what every request shares.

Health and status never wait behind a model: model code has threads of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from modelyard_runtime.contract import STATUS_PATH
from modelyard_runtime.pairing import DRAIN_PATH
from modelyard_runtime.server import oip_grpc, oip_rest
from modelyard_runtime.server.http import Exchange, Headers, Receive, Scope, Send, check_ids, identify
from modelyard_runtime.server.problems import Disconnected, NotFound, NotReady, Problem
from modelyard_runtime.server.score import score
from modelyard_runtime.server.service import Service
from modelyard_runtime.server.swagger import swagger

log = logging.getLogger(__name__)

MODELS_PREFIX = "/v2/models/"
HTML = (b"content-type", b"text/html; charset=utf-8")

Route = Callable[[Service, Exchange], Awaitable[None]]


class Application:
    """One service over ASGI."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            await self._serve(scope, receive, send)
        except Disconnected:
            log.debug("the client left before its answer")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = dict(scope["headers"])
        if headers.get(b"content-type", b"").startswith(oip_grpc.CONTENT_TYPE):
            with _Open(self._service):
                await oip_grpc.serve(self._service, scope, receive, send, headers)
            return
        exchange = Exchange(scope, receive, send, headers, identify(headers))
        try:
            check_ids(headers)
            route = _find(scope["path"])
        except Problem as problem:
            await exchange.answer_problem(problem)
            return
        if route in _COUNTED:
            with _Open(self._service):
                await _answer(route, self._service, exchange)
        else:
            await _answer(route, self._service, exchange)

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "lifespan.startup":
            self._service.start()
            await send({"type": "lifespan.startup.complete"})
        self._service.close()
        await send({"type": "lifespan.shutdown.complete"})


class _Open:
    """Counts a scoring request from arrival until its answer, or its error, has left."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __enter__(self) -> None:
        self._service.open += 1

    def __exit__(self, *_: object) -> None:
        self._service.open -= 1


async def _answer(route: Route, service: Service, exchange: Exchange) -> None:
    try:
        await route(service, exchange)
    except Problem as problem:
        await exchange.answer_problem(problem)


def _find(path: str) -> Route:
    route = ROUTES.get(path)
    if route is not None:
        return route
    if path.startswith(MODELS_PREFIX):
        return oip_rest.model
    raise NotFound("The requested URL was not found on the server.")


async def _health(service: Service, exchange: Exchange) -> None:
    exchange.allow("GET", "HEAD")
    if not service.ready:
        raise NotReady(
            service.failed or ("this replica is draining" if service.draining else "init() is running")
        )
    await exchange.answer(200, [HTML], b"Healthy" if exchange.scope["method"] == "GET" else b"")


async def _status(service: Service, exchange: Exchange) -> None:
    exchange.allow("GET")
    await exchange.answer_json(service.status())


async def _drain(service: Service, exchange: Exchange) -> None:
    exchange.allow("POST")
    service.draining = True
    await exchange.answer_json(service.status())


async def _swagger(service: Service, exchange: Exchange) -> None:
    exchange.allow("GET")
    await exchange.answer_json(swagger(service.contract, exchange.scope["query_string"]))


ROUTES: dict[str, Route] = {
    "/": _health,
    "/score": score,
    "/swagger.json": _swagger,
    "/v2": oip_rest.server_metadata,
    "/v2/health/live": oip_rest.live,
    "/v2/health/ready": oip_rest.ready,
    STATUS_PATH: _status,
    DRAIN_PATH: _drain,
}
_COUNTED: frozenset[Route] = frozenset({score, oip_rest.model})
