"""gRPC calls that Envoy answers by itself while the replica is ready: health, and the two like it. Pure.

Envoy cannot end an answer of its own with trailers, so it forwards such a call to a listener inside itself,
through the filter that makes gRPC of plain HTTP. First a script of a few lines compares the message with
those whose answer is known: which service is asked about stands there. Any other call is forwarded to this
replica's own socket, marked for Python: by then pyvoy has been left out of the request's filters.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from modelyard_runtime.contract import SOCKET_FILE, StartContract
from modelyard_runtime.pairing import BY_PYTHON, READY_KEY
from modelyard_runtime.server.envoy.words import (
    CONNECTIONS,
    HTTP_FILTERS,
    HTTP_OPTIONS,
    OFF,
    PYVOY,
    TYPES,
    Json,
    absent,
    exactly,
    headers,
    like,
    on,
    router,
)

SERVICES = (
    "grpc.health.v1.Health",
    "inference.GRPCInferenceService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)
"""Whose health may be asked for by name, beside the models'."""
WHILE_READY: Json = {"default_value": {"numerator": 0}, "runtime_key": READY_KEY}
"""A route's condition: until `Announcer` has said so, it does not match."""

_CHECK = "/grpc.health.v1.Health/Check"
_OF_THE_SERVER = ("/inference.GRPCInferenceService/ServerLive", "/inference.GRPCInferenceService/ServerReady")
_YES = b"\x08\x01"
"""SERVING, and true, in the first field of all three answers."""
_MORE = 0x80
"""Marks a byte of a length that others follow."""
_WITHOUT_FRAME = "application/x-protobuf"
_OF_OTHERS = ("grpc-encoding", "content-length", "transfer-encoding")
"""Headers of compressed calls, and of HTTP/1.1, which is no gRPC: Python says so."""
_COMPARE, _BRIDGE = "compare", "bridge"
_INSIDE, _SELF = "inside", "self"
"""The clusters: the listener inside Envoy, and this replica's own socket."""
_ABOUT, _ANSWERED_BY, _ENVOY, _PYTHON = "modelyard", "answered_by", "envoy", "python"
_SCRIPT = """
local known = {%s}
function envoy_on_request(call)
  local message = call:body()
  local asked = message and call:headers():get(":path") .. message:getBytes(0, message:length())
  local by = known[asked] and "envoy" or "python"
  call:streamInfo():dynamicMetadata():set("modelyard", "answered_by", by)
  call:clearRouteCache()
end
"""
_BRIDGING = "grpc_http1_reverse_bridge.v3.FilterConfigPerRoute"


def routes() -> list[Json]:
    """Return the routes of these calls; each is matched twice, the second time knowing the message."""
    return [route for path in (_CHECK, *_OF_THE_SERVER) for route in _routes(path)]


def filters(contract: StartContract) -> list[Json]:
    """Return the filters that go before pyvoy's; they are off for all other routes."""
    script = _SCRIPT % ",".join(f'["{_lua(asked)}"]=true' for asked in known_calls(contract))
    return [
        _filter(_COMPARE, "lua.v3.Lua", {"default_source_code": {"inline_string": script}}),
        _filter(
            _BRIDGE,
            "grpc_http1_reverse_bridge.v3.FilterConfig",
            {"content_type": _WITHOUT_FRAME, "withhold_grpc_frames": True},
        ),
    ]


def known_calls(contract: StartContract) -> Iterable[bytes]:
    """List the paths, each with a message, whose answer is yes while the replica is ready.

    Not those about models that come and go by themselves.
    """
    models = () if contract.multi_model else (contract.service, *(model.name for model in contract.models))
    for name in dict.fromkeys(("", *SERVICES, *models)):
        yield _CHECK.encode() + _frame(_field_1(name.encode()))
    for path in _OF_THE_SERVER:
        yield path.encode() + _frame(b"")


def listener() -> Json:
    """Return the listener inside Envoy, which says yes."""
    answer = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 200, "body": {"inline_bytes": base64.b64encode(_YES).decode()}},
        "response_headers_to_add": headers({"content-type": _WITHOUT_FRAME}),
    }
    manager = {
        "@type": CONNECTIONS,
        "codec_type": "HTTP2",
        "stat_prefix": _INSIDE,
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": _INSIDE, "domains": ["*"], "routes": [answer]}]},
        "http_filters": [router()],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    return {"name": _INSIDE, "internal_listener": {}, "filter_chains": [chain]}


def extensions() -> list[Json]:
    """Return what Envoy needs for a listener inside itself."""
    kind = f"{TYPES}extensions.bootstrap.internal_listener.v3.InternalListener"
    return [{"name": "envoy.bootstrap.internal_listener", "typed_config": {"@type": kind}}]


def clusters(contract: StartContract) -> list[Json]:
    """Return where these calls are forwarded to."""
    return [
        _cluster(_INSIDE, {"envoy_internal_address": {"server_listener_name": _INSIDE}}),
        _cluster(_SELF, {"pipe": {"path": f"{contract.run_dir}/{SOCKET_FILE}"}}),
    ]


def _routes(path: str) -> list[Json]:
    usual = [
        exactly(":method", "POST"),
        like("content-type", r"application/grpc(?:\+proto)?"),
        *map(absent, _OF_OTHERS),
    ]
    by_envoy = {
        "route": {"cluster": _INSIDE, "timeout": "0s"},
        "response_headers_to_remove": ["content-length", "server"],
        "typed_per_filter_config": {PYVOY: OFF, _COMPARE: on("lua.v3.LuaPerRoute"), _BRIDGE: on(_BRIDGING)},
    }
    by_python = {
        "route": {"cluster": _SELF, "timeout": "0s"},
        "request_headers_to_add": headers({BY_PYTHON: _PYTHON}),
        "typed_per_filter_config": {
            PYVOY: OFF,
            _BRIDGE: {"@type": HTTP_FILTERS + _BRIDGING, "disabled": True},
        },
    }
    return [
        {"match": {"path": path, "dynamic_metadata": _decided(_ENVOY)}, **by_envoy},
        {"match": {"path": path, "dynamic_metadata": _decided(_PYTHON)}, **by_python},
        {"match": {"path": path, "headers": usual, "runtime_fraction": WHILE_READY}, **by_envoy},
    ]


def _decided(by: str) -> list[Json]:
    return [{"filter": _ABOUT, "path": [{"key": _ANSWERED_BY}], "value": {"string_match": {"exact": by}}}]


def _filter(name: str, kind: str, settings: Json) -> Json:
    return {"name": name, "disabled": True, "typed_config": {"@type": HTTP_FILTERS + kind, **settings}}


def _cluster(name: str, address: Json) -> Json:
    http2 = {
        "@type": TYPES + HTTP_OPTIONS.removeprefix("envoy."),
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {HTTP_OPTIONS: http2},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _lua(text: bytes) -> str:
    return "".join(f"\\{byte:03d}" for byte in text)


def _frame(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def _field_1(text: bytes) -> bytes:
    """Write protobuf's first field, a text; an empty one is left out."""
    length, left = bytearray(), len(text)
    while left >= _MORE:
        length.append(left % _MORE | _MORE)
        left //= _MORE
    return b"\x0a" + bytes((*length, left)) + text if text else b""
