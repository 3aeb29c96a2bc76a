"""The model repository over REST: everything under `/v2/repository`."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Any

import orjson

from modelyard_runtime.server import repository
from modelyard_runtime.server.http import Exchange, Receive, Scope, Send, route
from modelyard_runtime.server.problems import BadInput, NotFound
from modelyard_runtime.server.service import Service

PREFIX = "/v2/repository/"
_INDEX = f"{PREFIX}index"
_MOVING = re.compile(
    r"/v2/repository/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?/(?P<verb>load|unload)"
)
_VERBS = {"load": repository.load, "unload": repository.unload}


def serve(service: Service, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    """Serve one request below `PREFIX`."""
    return (_index if scope["path"] == _INDEX else _move)(service, scope, receive, send)


async def _answer_index(exchange: Exchange) -> None:
    exchange.allow("POST")
    asked = await _object(exchange)
    only_ready = asked.get("ready", False)
    if not isinstance(only_ready, bool):
        raise BadInput("must be true or false", place="ready")
    standings = repository.index(exchange.service, _repository(asked), only_ready=only_ready)
    await exchange.answer_json([one._asdict() for one in standings])


async def _load_or_unload(exchange: Exchange) -> None:
    match = _MOVING.fullmatch(exchange.scope["path"])
    if match is None:
        raise NotFound("The requested URL was not found on the server.")
    exchange.allow("POST")
    asked = await _object(exchange)
    repository.check_parameters(asked.get("parameters", {}))
    move = _VERBS[match["verb"]]
    await move(exchange.service, _repository(asked), match["name"], match["version"] or "")
    await exchange.answer(200, [], b"")


async def _object(exchange: Exchange) -> dict[str, Any]:
    body = bytes(await exchange.body())
    try:
        asked = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise BadInput(f"the body is not JSON: {error}") from error
    if not isinstance(asked, dict):
        raise BadInput("the body must be an object, or empty")
    return asked


def _repository(asked: dict[str, Any]) -> str:
    name = asked.get("repository_name", "")
    if not isinstance(name, str):
        raise BadInput("must be text", place="repository_name")
    return name


_index = route(_answer_index)
_move = route(_load_or_unload, counted=True)
