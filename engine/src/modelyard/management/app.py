"""The ASGI application: routes, error answers, OpenAPI, and a door that browsers do not get through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Litestar
from litestar.datastructures import State
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ASGIApp, Receive, Scope, Send

from modelyard import __version__
from modelyard.client import wire
from modelyard.client.requests import ShutdownRequest
from modelyard.management.answers import HANDLERS, JSON, WireResponse
from modelyard.management.engine import ManagedEngine
from modelyard.management.routes import ROUTES

MAX_BODY_BYTES = 4_000_000
"""A specification is text; models and code never travel through here."""


def build_app(engine: ManagedEngine, *, shutdown: Callable[[ShutdownRequest], None]) -> ASGIApp:
    """Build the application for one engine; `shutdown` is told when a caller asks for the end."""
    app = Litestar(
        route_handlers=ROUTES,
        state=State({"engine": engine, "shutdown": shutdown}),
        exception_handlers=HANDLERS,
        response_class=WireResponse,
        openapi_config=OpenAPIConfig(title="Modelyard management", version=__version__),
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,  # logging belongs to telemetry, for the whole process
        debug=False,
    )
    return refuse_browsers(app)


def refuse_browsers(app: ASGIApp) -> ASGIApp:
    """Answer 403 to any request with an Origin header: no web page may drive the engine."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        headers: Any = scope.get("headers", [])
        if any(name.lower() == b"origin" for name, _ in headers):
            await _forbid(send)
        else:
            await app(scope, receive, send)

    return guarded


async def _forbid(send: Send) -> None:
    body = wire.dump(
        {
            "code": "forbidden",
            "message": "requests from web pages are refused",
            "place": "header Origin",
            "remedy": "use `engine`, modelyard.Client, or a program that sends no Origin header",
            "details": [],
        }
    )
    headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
