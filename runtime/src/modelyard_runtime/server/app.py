"""The ASGI application: a table of paths, and what every request shares.

Health and status never wait behind a model: model code has threads of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import orjson

from modelyard_runtime.contract import STATUS_PATH
from modelyard_runtime.server import oip_grpc, oip_rest
from modelyard_runtime.server.http import (
    Headers,
    Ids,
    Receive,
    Scope,
    Send,
    answer,
    answer_json,
    answer_problem,
    check_ids,
    identify,
)
from modelyard_runtime.server.problems import Disconnected, MethodNotAllowed, NotFound, NotReady, Problem
from modelyard_runtime.server.score import score
from modelyard_runtime.server.service import Service
from modelyard_runtime.server.swagger import swagger

log = logging.getLogger(__name__)

DRAIN_PATH = "/modelyard/drain"
"""POST on the replica's own socket, never routed: new requests are refused from now on."""
MODELS_PREFIX = "/v2/models/"
HTML = (b"content-type", b"text/html; charset=utf-8")

Route = Callable[[Service, Scope, Receive, Send, Headers, Ids], Awaitable[None]]


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
        ids = identify(headers)
        try:
            check_ids(headers)
            route = _find(scope["path"])
            if route in _COUNTED:
                with _Open(self._service):
                    await _answer(route, self._service, scope, receive, send, headers, ids)
            else:
                await _answer(route, self._service, scope, receive, send, headers, ids)
        except Problem as problem:
            await answer_problem(send, problem, ids)

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


async def _answer(
    route: Route, service: Service, scope: Scope, receive: Receive, send: Send, headers: Headers, ids: Ids
) -> None:
    try:
        await route(service, scope, receive, send, headers, ids)
    except Problem as problem:
        await answer_problem(send, problem, ids)


def _find(path: str) -> Route:
    route = ROUTES.get(path)
    if route is not None:
        return route
    if path.startswith(MODELS_PREFIX):
        return oip_rest.model
    raise NotFound("The requested URL was not found on the server.")


async def _health(
    service: Service, scope: Scope, receive: Receive, send: Send, headers: Headers, ids: Ids
) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        raise MethodNotAllowed("The method is not allowed for the requested URL.")
    if not service.ready:
        raise NotReady(
            service.failed or ("this replica is draining" if service.draining else "init() is running")
        )
    await answer(send, 200, [HTML, *ids.headers()], b"Healthy" if scope["method"] == "GET" else b"")


async def _status(
    service: Service, scope: Scope, receive: Receive, send: Send, headers: Headers, ids: Ids
) -> None:
    await answer_json(send, service.status(), ids)


async def _drain(
    service: Service, scope: Scope, receive: Receive, send: Send, headers: Headers, ids: Ids
) -> None:
    if scope["method"] != "POST":
        raise MethodNotAllowed("The method is not allowed for the requested URL.")
    service.draining = True
    await answer_json(send, service.status(), ids)


async def _swagger(
    service: Service, scope: Scope, receive: Receive, send: Send, headers: Headers, ids: Ids
) -> None:
    if scope["method"] != "GET":
        raise MethodNotAllowed("The method is not allowed for the requested URL.")
    document = swagger(service.contract, scope["query_string"])
    await answer(send, 200, [(b"content-type", b"application/json"), *ids.headers()], orjson.dumps(document))


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
