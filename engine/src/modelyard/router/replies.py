"""What the router itself answers: one JSON body `{code, message, request_id}` for every error. Pure.

Codes are stable, docs and clients rely on them. gRPC callers get the same message with a grpc-status.
"""

from __future__ import annotations

from typing import Any

import attrs

Json = dict[str, Any]

_RETRY_AFTER_SECONDS = "1"


@attrs.frozen
class ErrorReply:
    """One error: told by response flags where a status alone says too little."""

    code: str
    message: str
    status: int
    flags: tuple[str, ...] = ()
    retry: bool = False
    """Trying again soon may help: the answer says so with Retry-After."""


REPLIES = (
    # A connection that never came about: no replica has seen the request.
    ErrorReply(
        "NoReadyReplica", "no replica of this service is ready", 503, ("UH", "NC", "UF", "NFCF"), retry=True
    ),
    ErrorReply("Overloaded", "this service has all the requests it can hold", 503, ("UO",), retry=True),
    ErrorReply(
        "ReplicaFailed",
        "the replica closed the connection before it had answered",
        502,
        ("UC", "UR", "UPE", "LR"),
    ),
    ErrorReply("ScoringTimeout", "scoring took longer than this service allows", 504, ("UT",)),
    ErrorReply("RequestTimeout", "the request did not arrive in time", 408),
    ErrorReply("BadRequest", "the request is not well-formed HTTP", 400),
    ErrorReply("Unauthorized", "a valid key is required: Authorization: Bearer <key>", 401),
    ErrorReply("Forbidden", "the request is not allowed", 403),
    ErrorReply("NotFound", "nothing is served at this address", 404),
    ErrorReply("MethodNotAllowed", "use GET, POST, HEAD or OPTIONS", 405),
    ErrorReply("RequestTooLarge", "the request is larger than this service allows", 413),
    ErrorReply("HeadersTooLarge", "the headers, or x-request-id, are too long", 431),
    ErrorReply("RouterFailed", "the router failed to handle the request", 500),
    ErrorReply("NotImplemented", "the request uses a transfer coding that is not served", 501),
    ErrorReply("ReplicaFailed", "the replica's answer could not be read", 502),
    ErrorReply("Unavailable", "the router cannot take the request now", 503, retry=True),
    ErrorReply("GatewayTimeout", "the answer did not arrive in time", 504),
)
"""In order of precedence: the first that fits is given."""


def local_reply_config() -> Json:
    """Build the connection manager's table of error bodies."""
    mappers = [mapper for reply in REPLIES for mapper in (_grpc_mapper(reply), _json_mapper(reply))]
    return {"mappers": mappers, "bodyFormat": _body("Error", "%LOCAL_REPLY_BODY%")}


def _json_mapper(reply: ErrorReply) -> Json:
    return {
        "filter": _fits(reply),
        "statusCode": reply.status,
        "bodyFormatOverride": _body(reply.code, reply.message),
        "headersToAdd": _retry_after() if reply.retry else [],
    }


def _grpc_mapper(reply: ErrorReply) -> Json:
    """Envoy makes the body of a local reply the grpc-message: plain text reads best there."""
    grpc: Json = {
        "headerFilter": {
            "header": {"name": "content-type", "stringMatch": {"prefix": "application/grpc"}},
        }
    }
    text = f"{reply.code}: {reply.message}"
    return {
        "filter": {"andFilter": {"filters": [grpc, _fits(reply)]}},
        "bodyFormatOverride": {"textFormatSource": {"inlineString": text}},
    }


def _fits(reply: ErrorReply) -> Json:
    if reply.flags:
        return {"responseFlagFilter": {"flags": list(reply.flags)}}
    value = {"defaultValue": reply.status, "runtimeKey": f"modelyard.error.{reply.status}"}
    return {"statusCodeFilter": {"comparison": {"op": "EQ", "value": value}}}


def _body(code: str, message: str) -> Json:
    return {"jsonFormat": {"code": code, "message": message, "request_id": "%REQ(X-REQUEST-ID)%"}}


def _retry_after() -> list[Json]:
    return [
        {
            "header": {"key": "retry-after", "value": _RETRY_AFTER_SECONDS},
            "appendAction": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
    ]
