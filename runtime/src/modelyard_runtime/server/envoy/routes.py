"""Which requests Envoy answers by itself, and which go to Python. Pure: a contract in, routes out.

Health, while the replica is ready: a script that holds the interpreter cannot hold it up. And paths that
pyvoy would drop without a word. All else is Python's, health too where anything about the request is
unusual (another method, an origin, ids of the caller's own): what Envoy says is the plain answer alone.
"""

from __future__ import annotations

from modelyard_runtime.contract import StartContract
from modelyard_runtime.pairing import BY_PYTHON
from modelyard_runtime.server.cors import HeaderPairs
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
from modelyard_runtime.server.v1_words import NO_SUCH_PATH, CorsAsV1, name

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
    "/v2/health/live": '{"live":true}',
    "/v2/health/ready": '{"ready":true}',
}
"""JSON by path."""
_NOT_UTF8 = "the path is not UTF-8 once its percent escapes are read"


def routes(contract: StartContract) -> list[Json]:
    """Return the routes; the first that matches is taken."""
    anybody = {"access-control-allow-origin": "*"} if "*" in contract.cors_origins else {}
    strict = contract.compat == "strict-v1"
    of_v1 = _as_text([*name(contract), *CorsAsV1(contract.cors_origins).anybody]) if strict else anybody
    return [
        *map(_by_python, _HOT),
        _by_python({**_UTF8, "headers": [present(BY_PYTHON)]}),
        _plain("/", {"content-type": "text/html; charset=utf-8", **of_v1}, "Healthy"),
        *(_plain(path, {"content-type": _JSON, **anybody}, body) for path, body in _PLAIN.items()),
        *calls.routes(),
        _by_python(_UTF8),
        _unreadable_call(),
        _unreadable_as_v1() if strict else _unreadable(anybody),
    ]


def _as_text(pairs: HeaderPairs) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}


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


def _unreadable_call() -> Json:
    """Envoy makes this UNIMPLEMENTED, which is what becomes of any other path that is no method."""
    return {
        "match": {"prefix": "/", "grpc": {}},
        "direct_response": {"status": 404, "body": {"inline_string": _NOT_UTF8}},
        "typed_per_filter_config": {PYVOY: OFF},
    }


def _unreadable(told: dict[str, str]) -> Json:
    body = {"code": "BadRequest", "message": _NOT_UTF8, "request_id": "%REQ(x-request-id):100%"}
    return _refusal(400, {**told, **_NAMED}, body)


def _unreadable_as_v1() -> Json:
    """v1 made some text of such a path, which then was none of its own."""
    return _refusal(404, {}, {"message": NO_SUCH_PATH})


def _refusal(status: int, told: dict[str, str], body: dict[str, str]) -> Json:
    return {
        "match": {"prefix": "/"},
        "direct_response": {"status": status, "body_format": {"json_format": body}},
        "response_headers_to_add": headers(
            {"content-type": _JSON, "x-ms-run-function-failed": "False", **told}
        ),
        "typed_per_filter_config": {PYVOY: OFF},
    }
