"""The model repository over REST: what there is and its state. Loading by name is refused: a replica has one script."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterator
from typing import NamedTuple

import orjson

from modelyard_runtime.server.http import Exchange, Receive, Scope, Send, route
from modelyard_runtime.server.problems import BadInput, NotFound, Unimplemented
from modelyard_runtime.server.service import Service

PREFIX = "/v2/repository/"
INDEX = f"{PREFIX}index"
_LOADING = re.compile(r"/v2/repository/models/[^/]+(/versions/[^/]+)?/(load|unload)")


class Entry(NamedTuple):
    """One version of a model, in the protocol's words."""

    name: str
    version: str
    state: str
    reason: str


def index(service: Service, repository: str, *, only_ready: bool) -> list[Entry]:
    """List every version of every model. Raises `BadInput` for a repository by name: there is one, without."""
    if repository:
        raise BadInput(
            f"there is no repository '{repository}': this replica has one, without a name; leave the name out",
            place="repository_name",
        )
    return [entry for entry in _entries(service) if entry.state == "READY" or not only_ready]


def no_loading() -> Unimplemented:
    """Say why nothing is loaded or unloaded by name, and what to do."""
    return Unimplemented(
        "no model is loaded or unloaded by name: init() of this replica's one script loads them all;"
        " deploy a service of its own for a model that comes and goes"
    )


def serve(service: Service, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    """Serve one request below `PREFIX`."""
    return (_index if scope["path"] == INDEX else _load)(service, scope, receive, send)


def _entries(service: Service) -> Iterator[Entry]:
    state, reason = _state(service)
    for name, versions in service.models.items():
        for version in versions:
            ready = (name, version) in service.pools
            yield Entry(name, version, "READY", "") if ready else Entry(name, version, state, reason)


def _state(service: Service) -> tuple[str, str]:
    """Return the state of whatever is not ready: all models come and go with the one script."""
    if service.draining:
        return "UNAVAILABLE", "this replica is draining"
    return ("UNAVAILABLE", service.failed) if service.failed else ("LOADING", "init() has not finished yet")


async def _answer_index(exchange: Exchange) -> None:
    exchange.allow("POST")
    body = bytes(await exchange.body())
    try:
        asked = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise BadInput(f"the body is not JSON: {error}") from error
    if not isinstance(asked, dict):
        raise BadInput("the body must be an object, or empty")
    only_ready, repository = asked.get("ready", False), asked.get("repository_name", "")
    if not isinstance(only_ready, bool):
        raise BadInput("must be true or false", place="ready")
    if not isinstance(repository, str):
        raise BadInput("must be text", place="repository_name")
    entries = index(exchange.service, repository, only_ready=only_ready)
    await exchange.answer_json([entry._asdict() for entry in entries])


async def _refuse_load(exchange: Exchange) -> None:
    if _LOADING.fullmatch(exchange.scope["path"]) is None:
        raise NotFound("The requested URL was not found on the server.")
    exchange.allow("POST")
    raise no_loading()


_index = route(_answer_index)
_load = route(_refuse_load)
