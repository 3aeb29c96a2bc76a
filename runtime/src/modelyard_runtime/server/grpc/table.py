"""Every call this server answers, by path, and what becomes of those that are none."""

from __future__ import annotations

import logging

from modelyard_runtime.server.grpc import (
    health,
    inference,
    metadata,
    reflection,
    repository,
    streams,
    tfserving,
)
from modelyard_runtime.server.grpc.calls import ENDINGS, Call
from modelyard_runtime.server.grpc.later import CONTENT_TYPE
from modelyard_runtime.server.grpc.methods import Method
from modelyard_runtime.server.http import Exchange, Receive, Scope, Send
from modelyard_runtime.server.problems import (
    Disconnected,
    MethodNotAllowed,
    Problem,
    Unimplemented,
    UnsupportedMediaType,
)
from modelyard_runtime.server.service import Service

log = logging.getLogger(__name__)

METHODS: dict[str, Method] = {
    **inference.METHODS,
    **streams.METHODS,
    **metadata.METHODS,
    **repository.METHODS,
    **tfserving.METHODS,
    **health.METHODS,
    **reflection.METHODS,
}


async def serve(service: Service, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one call."""
    method = METHODS.get(scope["path"])
    call = Call(service, scope, receive, send)
    refusal = _refusal(call) if call.headers.get(b"content-type") != CONTENT_TYPE else None
    if scope["method"] != "POST" or scope.get("http_version") == "1.1" or refusal is not None:
        exchange = Exchange(service, scope, receive, send)
        await exchange.answer_problem(refusal or _refusal(call) or MethodNotAllowed("a gRPC call is a POST"))
        return
    if method is None:
        await call.fail(Unimplemented(f"no method {scope['path']}; grpc.reflection lists those there are"))
        return
    service.open += method.counts
    try:
        call.prepare()
        await method.perform(call)
    except ENDINGS as error:
        await call.fail(error)
    except Disconnected:
        log.debug("the client left before its answer")
    finally:
        service.open -= method.counts


class _OldProtocol(Problem):
    """gRPC needs HTTP/2: its status travels in trailers."""

    status = 505
    code = "HttpVersionNotSupported"


_SPOKEN = frozenset({CONTENT_TYPE, CONTENT_TYPE + b"+proto"})


def _refusal(call: Call) -> Problem | None:
    """Say, in HTTP, what is wrong with a call of a client that does not speak gRPC over HTTP/2."""
    if call.scope.get("http_version") == "1.1":
        return _OldProtocol("gRPC needs HTTP/2; over HTTP/1.1 use the REST paths under /v2")
    if call.headers.get(b"content-type", b"").partition(b";")[0].strip() not in _SPOKEN:
        return UnsupportedMediaType("this path takes application/grpc with protobuf messages")
    return None
