"""The Open Inference Protocol over REST: everything under `/v2`."""

from __future__ import annotations

from functools import partial
from typing import Any

from modelyard_runtime.oip import rest
from modelyard_runtime.oip.tensors import OipError
from modelyard_runtime.server.http import (
    JSON,
    Headers,
    Ids,
    Receive,
    Scope,
    Send,
    answer,
    answer_json,
    disconnected,
    read_body,
    readable,
)
from modelyard_runtime.server.inference import EXTENSIONS, NAME, PLATFORM, VERSION, find_model, infer
from modelyard_runtime.server.problems import BadInput, MethodNotAllowed, NotFound, NotReady, ResultUnusable
from modelyard_runtime.server.service import Service


async def server_metadata(
    service: Service, scope: Scope, receive: Receive, send: Send, headers: Headers, ids: Ids
) -> None:
    """`GET /v2`."""
    _only(scope, "GET")
    await answer_json(send, {"name": NAME, "version": VERSION, "extensions": EXTENSIONS}, ids)


async def live(
    service: Service, scope: Scope, receive: Receive, send: Send, headers: Headers, ids: Ids
) -> None:
    """`GET /v2/health/live`."""
    _only(scope, "GET")
    await answer_json(send, {"live": True}, ids)


async def ready(
    service: Service, scope: Scope, receive: Receive, send: Send, headers: Headers, ids: Ids
) -> None:
    """`GET /v2/health/ready`."""
    _only(scope, "GET")
    _check_ready(service)
    await answer_json(send, {"ready": True}, ids)


async def model(
    service: Service, scope: Scope, receive: Receive, send: Send, headers: Headers, ids: Ids
) -> None:
    """Everything under `/v2/models/`."""
    name, version, verb = split_path(scope["path"])
    version = find_model(service, name, version)
    if verb == "infer":
        _only(scope, "POST")
        await _infer(service, receive, send, headers, ids, name=name, version=version)
        return
    _only(scope, "GET")
    if verb == "ready":
        _check_ready(service)
        await answer_json(send, {"name": name, "ready": True}, ids)
    else:
        await answer_json(send, _metadata(service, name), ids)


def split_path(path: str) -> tuple[str, str, str]:
    """Split `/v2/models/<name>[/versions/<version>][/ready|/infer]`. Raises `NotFound`."""
    parts = path.split("/")[3:]
    name, rest_of = parts[0], parts[1:]
    version = ""
    if len(rest_of) >= 2 and rest_of[0] == "versions":  # noqa: PLR2004  # a word and its value
        version, rest_of = rest_of[1], rest_of[2:]
    if not name or rest_of not in ([], ["ready"], ["infer"]):
        raise NotFound("The requested URL was not found on the server.")
    return name, version, rest_of[0] if rest_of else ""


async def _infer(
    service: Service, receive: Receive, send: Send, headers: Headers, ids: Ids, *, name: str, version: str
) -> None:
    deadline = service.deadline()
    wants_headers = service.script.wants_headers
    body = await read_body(receive, headers, service.contract.max_body_bytes)
    try:
        request = rest.decode(body, headers.get(rest.HEADER_LENGTH))
    except OipError as error:
        raise BadInput(str(error)) from error
    outputs = await infer(
        service,
        request,
        readable(headers) if wants_headers else {},
        deadline=deadline,
        gone=partial(disconnected, receive),
    )
    try:
        payload, json_length = rest.encode(name, version, request, outputs)
    except OipError as error:
        raise ResultUnusable(str(error)) from error
    await answer(send, 200, [*_content(json_length), *ids.headers()], payload)


def _content(json_length: int | None) -> list[tuple[bytes, bytes]]:
    if json_length is None:
        return [JSON]
    return [(b"content-type", b"application/octet-stream"), (rest.HEADER_LENGTH, b"%d" % json_length)]


def _metadata(service: Service, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "versions": service.models[name],
        "platform": PLATFORM,
        "inputs": [],
        "outputs": [],
    }


def _check_ready(service: Service) -> None:
    if not service.ready:
        raise NotReady(service.failed or "the model is not ready")


def _only(scope: Scope, method: str) -> None:
    if scope["method"] != method:
        raise MethodNotAllowed("The method is not allowed for the requested URL.")
