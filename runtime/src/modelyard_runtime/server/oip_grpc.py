"""The Open Inference Protocol over gRPC: unary calls on ASGI, one message in, one out.

Framing is five bytes (compressed flag, length); the status travels in trailers.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from google.protobuf.message import DecodeError, Message

from modelyard_runtime.oip import messages
from modelyard_runtime.oip import open_inference_pb2 as pb
from modelyard_runtime.oip.tensors import OipError
from modelyard_runtime.server.http import Headers, Receive, Scope, Send, disconnected, read_body, readable
from modelyard_runtime.server.inference import EXTENSIONS, NAME, PLATFORM, VERSION, find_model, infer
from modelyard_runtime.server.problems import OK, BadInput, Problem, TooLarge, Unimplemented
from modelyard_runtime.server.service import Service

SERVICE = "/inference.GRPCInferenceService/"
CONTENT_TYPE = b"application/grpc"
_PREFIX = struct.Struct(">BI")
_UNITS_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_MAX_TIMEOUT_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Call:
    """One unary call: its message and its limits."""

    body: bytes
    headers: Headers
    deadline: float
    receive: Receive


Method = Callable[[Service, Call], Awaitable[Message]]


async def serve(service: Service, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
    """Serve one call."""
    try:
        method = METHODS.get(scope["path"])
        if method is None:
            raise Unimplemented(f"no method {scope['path']}")
        deadline = min(
            service.deadline(), service.deadline() - service.contract.timeout_s + timeout_s(headers)
        )
        body = await read_body(receive, headers, service.contract.max_body_bytes + _PREFIX.size)
        reply = await method(service, Call(unframe(body), headers, deadline, receive))
    except Problem as problem:
        await _finish(send, b"", problem.grpc_status, str(problem))
        return
    await _finish(send, frame(reply.SerializeToString()), OK, "")


def timeout_s(headers: Headers) -> float:
    """Read `grpc-timeout`; infinite where there is none. Raises `BadInput`."""
    text = headers.get(b"grpc-timeout", b"").decode("latin-1")
    if not text:
        return float("inf")
    digits, unit = text[:-1], text[-1]
    if not digits.isdigit() or len(digits) > _MAX_TIMEOUT_DIGITS or unit not in _UNITS_S:
        raise BadInput(f"grpc-timeout '{text}' is not a number of up to 8 digits and a unit")
    return int(digits) * _UNITS_S[unit]


def unframe(body: bytes) -> bytes:
    """Return the one message of a unary request. Raises `BadInput`, `Unimplemented`."""
    if len(body) < _PREFIX.size:
        raise BadInput("the call carries no whole message")
    compressed, length = _PREFIX.unpack_from(body)
    if compressed:
        raise Unimplemented("this server takes uncompressed messages only")
    if length != len(body) - _PREFIX.size:
        raise BadInput(f"the message says {length} bytes, {len(body) - _PREFIX.size} came")
    return body[_PREFIX.size :]


def frame(message: bytes) -> bytes:
    """Put the five bytes before a message."""
    return _PREFIX.pack(0, len(message)) + message


async def _finish(send: Send, body: bytes, status: int, message: str) -> None:
    trailers = [(b"grpc-status", b"%d" % status)]
    if message:
        trailers.append((b"grpc-message", quote(message, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~").encode()))
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", CONTENT_TYPE)]}
    await send({**start, "trailers": True})
    await send({"type": "http.response.body", "body": body, "more_body": False})
    await send({"type": "http.response.trailers", "headers": trailers, "more_trailers": False})


def _parse(kind: Any, body: bytes) -> Any:
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise BadInput(f"the message is not a {kind.DESCRIPTOR.name}") from error


async def _server_live(_service: Service, _call: Call) -> Message:
    return pb.ServerLiveResponse(live=True)


async def _server_ready(service: Service, _call: Call) -> Message:
    return pb.ServerReadyResponse(ready=service.ready)


async def _model_ready(service: Service, call: Call) -> Message:
    request = _parse(pb.ModelReadyRequest, call.body)
    find_model(service, request.name, request.version)
    return pb.ModelReadyResponse(ready=service.ready)


async def _server_metadata(_service: Service, _call: Call) -> Message:
    return pb.ServerMetadataResponse(name=NAME, version=VERSION, extensions=EXTENSIONS)


async def _model_metadata(service: Service, call: Call) -> Message:
    request = _parse(pb.ModelMetadataRequest, call.body)
    find_model(service, request.name, request.version)
    versions = service.models[request.name]
    return pb.ModelMetadataResponse(name=request.name, versions=versions, platform=PLATFORM)


async def _model_infer(service: Service, call: Call) -> Message:
    message = _parse(pb.ModelInferRequest, call.body)
    version = find_model(service, message.model_name, message.model_version)
    sent = readable(call.headers) if service.script.wants_headers else {}
    try:
        request = messages.decode(message)
    except OipError as error:
        raise BadInput(str(error)) from error
    gone = partial(disconnected, call.receive)
    outputs = await infer(service, request, sent, deadline=call.deadline, gone=gone)
    reply = messages.encode(message.model_name, version, request, outputs)
    if reply.ByteSize() > MAX_REPLY_BYTES:
        raise TooLarge(f"the answer has {reply.ByteSize()} bytes, protobuf ends at {MAX_REPLY_BYTES}")
    return reply


MAX_REPLY_BYTES = 2**31 - 1

METHODS: dict[str, Method] = {
    f"{SERVICE}ServerLive": _server_live,
    f"{SERVICE}ServerReady": _server_ready,
    f"{SERVICE}ModelReady": _model_ready,
    f"{SERVICE}ServerMetadata": _server_metadata,
    f"{SERVICE}ModelMetadata": _model_metadata,
    f"{SERVICE}ModelInfer": _model_infer,
}
