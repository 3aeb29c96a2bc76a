"""Which requests Envoy answers by itself, and which go to Python. Pure: a contract in, routes out.

Health, while the replica is ready: a script that holds the interpreter cannot hold it up. And paths that
pyvoy would drop without a word. All else is Python's, health too where anything about the request is
unusual (another method, an origin, ids of the caller's own): what Envoy says is the plain answer alone.
"""

from __future__ import annotations

from modelyard_runtime.contract import StartContract
from modelyard_runtime.pairing import BY_PYTHON
from modelyard_runtime.server.envoy import calls
from modelyard_runtime.server.envoy.paths import UTF8_PATH
from modelyard_runtime.server.envoy.words import (
    OFF,
    PYVOY,
    ROUTER,
    Json,
    absent,
    exactly,
    headers,
    like,
    present,
)

_HOT: tuple[Json, ...] = (
    {"path": "/score"},
    {"path": "/inference.GRPCInferenceService/ModelInfer"},
    {"safe_regex": {"regex": "/v2/models/[-./0-9A-Z_a-z]+"}},
)
"""What most requests ask for: first, so that they are compared with nothing else."""
_UTF8: Json = {"safe_regex": {"regex": UTF8_PATH}}
_ID = "[!-+.-~-]{1,100}"
"""A request id as v1 takes it, and only one: Envoy joins several with a comma."""
_CALLERS_OWN = ("x-ms-request-id", "x-ms-client-request-id", "traceid", "origin")
"""Headers that an answer repeats in ways of its own."""
_NAMED = {"x-request-id": "%REQ(x-request-id):100%", "x-ms-request-id": "%REQ(x-request-id):100%"}
_JSON = "application/json"
_PLAIN = {
    "/": ("text/html; charset=utf-8", "Healthy"),
    "/v2/health/live": (_JSON, '{"live":true}'),
    "/v2/health/ready": (_JSON, '{"ready":true}'),
}
"""By path: the kind of the answer and its body."""
_NOT_UTF8 = "the path is not UTF-8 once its percent escapes are read"


def routes(contract: StartContract) -> list[Json]:
    """Return the routes; the first that matches is taken."""
    anybody = {"access-control-allow-origin": "*"} if "*" in contract.cors_origins else {}
    return [
        *map(_by_python, _HOT),
        _by_python({**_UTF8, "headers": [present(BY_PYTHON)]}),
        *(_plain(path, {"content-type": kind, **anybody}, body) for path, (kind, body) in _PLAIN.items()),
        *calls.routes(),
        _by_python(_UTF8),
        *_unreadable(anybody, strict=contract.compat == "strict-v1"),
    ]


def _by_python(match: Json) -> Json:
    return {"match": match, "non_forwarding_action": {}, "typed_per_filter_config": {ROUTER: OFF}}


def _plain(path: str, told: dict[str, str], body: str) -> Json:
    usual = [exactly(":method", "GET"), like("x-request-id", _ID), *map(absent, _CALLERS_OWN)]
    return {
        "match": {"path": path, "headers": usual, "runtime_fraction": calls.WHILE_READY},
        "direct_response": {"status": 200, "body": {"inline_string": body}},
        "response_headers_to_add": headers({**told, **_NAMED}),
        "typed_per_filter_config": {PYVOY: OFF},
    }


def _unreadable(told: dict[str, str], *, strict: bool) -> list[Json]:
    told = {"content-type": _JSON, "x-ms-run-function-failed": "False", **told, **_NAMED}
    body = {"code": "BadRequest", "message": _NOT_UTF8, "request_id": "%REQ(x-request-id):100%"}
    if strict:
        body = {"message": _NOT_UTF8}
    return [
        {
            # Envoy makes this UNIMPLEMENTED, which is what becomes of any other path that is no method
            "match": {"prefix": "/", "grpc": {}},
            "direct_response": {"status": 404, "body": {"inline_string": _NOT_UTF8}},
            "typed_per_filter_config": {PYVOY: OFF},
        },
        {
            "match": {"prefix": "/"},
            "direct_response": {"status": 400, "body_format": {"json_format": body}},
            "response_headers_to_add": headers(told),
            "typed_per_filter_config": {PYVOY: OFF},
        },
    ]
