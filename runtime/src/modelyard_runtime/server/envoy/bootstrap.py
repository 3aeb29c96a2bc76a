"""A replica's Envoy: its own sockets, large bodies, Python in the chain of its filters.

Pure: a contract in, a configuration out.
"""

from __future__ import annotations

from modelyard_runtime.contract import SOCKET_FILE, StartContract
from modelyard_runtime.pairing import ADMIN_FILE
from modelyard_runtime.server.envoy import calls
from modelyard_runtime.server.envoy.embedding import pyvoy
from modelyard_runtime.server.envoy.routes import routes
from modelyard_runtime.server.envoy.words import CONNECTIONS, Json, router

APPLICATION = "modelyard_runtime.server.asgi:app"
_PRIVATE = 0o600
_STREAM_WINDOW = 4 * 1024 * 1024
"""A 10 MB tensor crosses in three round trips; Envoy's 64 KiB would take 160."""
_CONNECTION_WINDOW = 16 * 1024 * 1024
_BUFFER = 1024 * 1024
_UUIDS = "type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"
_LIMITS = {"name": "limits", "static_layer": {"re2.max_program_size.error_level": 2000}}
"""Envoy allows patterns of 100 steps; saying what UTF-8 is takes more, and no request that scores pays for it."""
_ADMIN = {"name": "admin", "admin_layer": {}}
"""Where a replica's readiness is set."""
_IDLE_S = 3600
"""How long a stream may be silent: a gRPC stream that watches or waits is, and it is no less alive for it."""
_GRACE_S = 30
"""An idle stream is cut this long after the longest time an answer may take."""
_REQUEST_S = 600
"""For all of a request to arrive, unless its answer has begun, as a stream's does at once."""
_KEEPALIVE = {"interval": "60s", "timeout": "20s"}
"""By pings a caller over HTTP/2 who vanished is found, however long its streams may be silent."""


def configuration(contract: StartContract) -> Json:
    """Return the whole bootstrap."""
    listener: Json = {
        "name": "replica",
        "address": _pipe(contract, SOCKET_FILE),
        "per_connection_buffer_limit_bytes": _BUFFER,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": _http(contract)}]}],
    }
    if contract.port:
        listener["additional_addresses"] = [{"address": _port(contract)}]
        listener["enable_reuse_port"] = False  # or two replicas could share a port unawares
    return {
        "admin": {"address": _pipe(contract, ADMIN_FILE)},
        "static_resources": {
            "listeners": [listener, calls.listener()],
            "clusters": calls.clusters(contract),
        },
        "bootstrap_extensions": calls.extensions(),
        "layered_runtime": {"layers": [_LIMITS, _ADMIN]},
    }


def _pipe(contract: StartContract, name: str) -> Json:
    return {"pipe": {"path": f"{contract.run_dir}/{name}", "mode": _PRIVATE}}


def _port(contract: StartContract) -> Json:
    address: Json = {"address": contract.host, "port_value": contract.port}
    if contract.host == "::":
        address["ipv4_compat"] = True  # as every other server understands it
    return {"socket_address": address}


def _http(contract: StartContract) -> Json:
    idle_s = max(_IDLE_S, contract.timeout_s + contract.queue_wait_s + _GRACE_S)
    return {
        "@type": CONNECTIONS,
        "stat_prefix": "ingress_http",
        "codec_type": "AUTO",
        "http_filters": [*calls.filters(contract), pyvoy(APPLICATION), router()],
        "route_config": {
            "virtual_hosts": [{"name": "replica", "domains": ["*"], "routes": routes(contract)}]
        },
        "server_header_transformation": "PASS_THROUGH",
        # Envoy names a request that came without a name: cheaper than Python would
        "generate_request_id": True,
        "preserve_external_request_id": True,
        "request_id_extension": {"typed_config": {"@type": _UUIDS, "pack_trace_reason": False}},
        "stream_idle_timeout": f"{idle_s:.3f}s",
        "request_headers_timeout": "10s",
        "request_timeout": f"{_REQUEST_S}s",
        "delayed_close_timeout": "1s",
        "http2_protocol_options": {
            "initial_stream_window_size": _STREAM_WINDOW,
            "initial_connection_window_size": _CONNECTION_WINDOW,
            "connection_keepalive": _KEEPALIVE,
        },
    }
