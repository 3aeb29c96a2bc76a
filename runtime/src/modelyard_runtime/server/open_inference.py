"""The Open Inference Protocol over REST: everything under `/v2`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache

from modelyard_runtime.oip import rest
from modelyard_runtime.oip.datatypes import OipError
from modelyard_runtime.server import repository_paths
from modelyard_runtime.server.about import (
    NAME,
    PLATFORM,
    VERSION,
    declared,
    extensions,
    is_ready,
)
from modelyard_runtime.server.http import JSON, Exchange, Receive, Scope, Send, route
from modelyard_runtime.server.inference import not_tensors, request_for
from modelyard_runtime.server.problems import BadInput, NotFound, NotReady, ResultUnusable
from modelyard_runtime.server.service import Service
from modelyard_runtime.worker.replies import Inferred

_BINARY = (b"content-type", b"application/octet-stream")
_REMEMBERED_PATHS = 1024


def serve(service: Service, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    """Serve one request."""
    if scope["method"] == "OPTIONS":
        return _options(service, scope, receive, send)
    path: str = scope["path"]
    if path.endswith("/infer"):
        return _infer(service, scope, receive, send)
    if path.startswith(repository_paths.PREFIX):
        return repository_paths.serve(service, scope, receive, send)
    return _FIXED.get(path, _model)(service, scope, receive, send)


@lru_cache(maxsize=_REMEMBERED_PATHS)
def split_path(path: str) -> tuple[str, str, str]:
    """Split `/v2/models/<name>[/versions/<version>][/ready|/infer]`. Raises `NotFound`."""
    _, _, section, *parts = path.split("/") + [""] * 2
    while parts and not parts[-1]:
        parts.pop()
    name, *rest_of = parts or [""]
    version = ""
    if rest_of[:1] == ["versions"] and len(rest_of) > 1:
        version, rest_of = rest_of[1], rest_of[2:]
    if section != "models" or not name or rest_of not in ([], ["ready"], ["infer"]):
        raise NotFound("The requested URL was not found on the server.")
    return name, version, rest_of[0] if rest_of else ""


async def _perform_infer(exchange: Exchange) -> None:
    service = exchange.service
    name, version, verb = split_path(exchange.scope["path"])
    if verb != "infer":
        raise NotFound("The requested URL was not found on the server.")
    exchange.allow("POST")
    if (name, version) not in service.pools:
        service.versions(name, version)  # a wrong name is told before its body is read
    deadline = service.deadline()
    body = await exchange.body()
    try:
        asked = rest.decode(body, exchange.headers.get(rest.HEADER_LENGTH))
    except OipError as error:
        raise BadInput(str(error), place=error.place) from error
    pool = service.pools.get((name, version)) or await service.find(name, version, deadline)
    request = request_for(pool, asked.inputs, asked.outputs, exchange.scope)
    reply = await pool.submit(request, deadline, exchange.gone)
    if type(reply) is not Inferred:
        raise not_tensors(reply)
    try:
        version = version or service.models[name][-1]
        payload, json_length = rest.encode(name, version, asked, reply.outputs)
    except OipError as error:
        raise ResultUnusable(str(error), place=error.place) from error
    await exchange.answer(200, _content(json_length), payload)


def _content(json_length: int | None) -> list[tuple[bytes, bytes]]:
    if json_length is None:
        return [JSON]
    return [_BINARY, (rest.HEADER_LENGTH, b"%d" % json_length)]


async def _describe_model(exchange: Exchange) -> None:
    exchange.allow("GET")
    name, version, verb = split_path(exchange.scope["path"])
    versions = exchange.service.versions(name, version)
    if verb == "ready":
        if not is_ready(exchange.service, name, version):
            raise NotReady(exchange.service.failed or "the model is not ready")
        await exchange.answer_json({"name": name, "ready": True})
        return
    inputs, outputs = declared(exchange.service, name, version)
    await exchange.answer_json(
        {"name": name, "versions": versions, "platform": PLATFORM, "inputs": inputs, "outputs": outputs}
    )


async def _server_metadata(exchange: Exchange) -> None:
    exchange.allow("GET")
    await exchange.answer_json({"name": NAME, "version": VERSION, "extensions": extensions(exchange.service)})


async def _live(exchange: Exchange) -> None:
    exchange.allow("GET")
    await exchange.answer_json({"live": True})


async def _ready(exchange: Exchange) -> None:
    exchange.allow("GET")
    if not exchange.service.ready:
        raise NotReady(exchange.service.failed or "the model is not ready")
    await exchange.answer_json({"ready": True})


async def _answer_options(exchange: Exchange) -> None:
    posted = exchange.scope["path"].endswith("/infer") or exchange.scope["path"].startswith(
        repository_paths.PREFIX
    )
    allowed = b"POST, OPTIONS" if posted else b"GET, OPTIONS"
    preflight = exchange.service.cors.preflight(exchange.headers)
    await exchange.answer(200, [(b"allow", allowed), *preflight], b"")


_options = route(_answer_options)
_infer = route(_perform_infer, counted=True)
_model = route(_describe_model)
_FIXED: dict[str, Callable[[Service, Scope, Receive, Send], Awaitable[None]]] = {
    "/v2": route(_server_metadata),
    "/v2/": route(_server_metadata),
    "/v2/health/live": route(_live),
    "/v2/health/ready": route(_ready),
}
