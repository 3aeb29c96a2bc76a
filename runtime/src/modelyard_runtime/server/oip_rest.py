"""The Open Inference Protocol over REST: everything under `/v2`."""

from __future__ import annotations

from typing import Any

from modelyard_runtime.oip import rest
from modelyard_runtime.oip.tensors import OipError
from modelyard_runtime.server.http import JSON, Exchange, readable
from modelyard_runtime.server.inference import EXTENSIONS, NAME, PLATFORM, VERSION, find_model, infer
from modelyard_runtime.server.problems import BadInput, NotFound, NotReady, ResultUnusable
from modelyard_runtime.server.service import Service


async def server_metadata(_service: Service, exchange: Exchange) -> None:
    """`GET /v2`."""
    exchange.allow("GET")
    await exchange.answer_json({"name": NAME, "version": VERSION, "extensions": EXTENSIONS})


async def live(_service: Service, exchange: Exchange) -> None:
    """`GET /v2/health/live`."""
    exchange.allow("GET")
    await exchange.answer_json({"live": True})


async def ready(service: Service, exchange: Exchange) -> None:
    """`GET /v2/health/ready`."""
    exchange.allow("GET")
    _check_ready(service)
    await exchange.answer_json({"ready": True})


async def model(service: Service, exchange: Exchange) -> None:
    """Everything under `/v2/models/`."""
    name, version, verb = split_path(exchange.scope["path"])
    version = find_model(service, name, version)
    if verb == "infer":
        exchange.allow("POST")
        await _infer(service, exchange, name, version)
        return
    exchange.allow("GET")
    if verb == "ready":
        _check_ready(service)
        await exchange.answer_json({"name": name, "ready": True})
    else:
        await exchange.answer_json(_metadata(service, name))


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


async def _infer(service: Service, exchange: Exchange, name: str, version: str) -> None:
    deadline = service.deadline()
    sent = readable(exchange.headers) if service.script.wants_headers else {}
    body = await exchange.body(service.contract.max_body_bytes)
    try:
        request = rest.decode(body, exchange.headers.get(rest.HEADER_LENGTH))
    except OipError as error:
        raise BadInput(str(error)) from error
    outputs = await infer(service, request, sent, deadline=deadline, gone=exchange.gone)
    try:
        payload, json_length = rest.encode(name, version, request, outputs)
    except OipError as error:
        raise ResultUnusable(str(error)) from error
    await exchange.answer(200, _content(json_length), payload)


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
