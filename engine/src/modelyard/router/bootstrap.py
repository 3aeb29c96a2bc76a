"""What Envoy is told on its command line and in its first file; all else comes over ADS. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from modelyard.router.clusters import RUNTIME_LAYER
from modelyard.router.listeners import LISTENER

Json = dict[str, Any]

DRAIN_SECONDS = 2
"""Connections are told to close for this long before the listener does."""
_NEVER_SECONDS = 7 * 24 * 3600
"""Envoy ends its predecessor by the clock; we end it when its last request is done."""
_XDS_CLUSTER = "modelyard-xds"
_MAX_HEAP_BYTES = 1024**3
_MAX_CONNECTIONS = 10_000
_MAX_PATTERN_SIZE = 5_000
_TYPE = "type.googleapis.com/"
_PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@attrs.frozen
class EnvoyFiles:
    """The files of one Envoy: `owner` is its parent's pid, `epoch` counts take-overs within one `base_id`."""

    run: Path
    owner: int
    epoch: int = 0

    @property
    def bootstrap(self) -> Path:
        """Its first file."""
        return self.run / f"bootstrap-{self.owner}.json"

    @property
    def admin(self) -> Path:
        """Its admin socket."""
        return self.run / f"admin-{self.owner}.sock"

    @property
    def xds(self) -> Path:
        """Where its parent serves ADS and LRS."""
        return self.run / f"xds-{self.owner}.sock"

    @property
    def pid(self) -> Path:
        """Where it tells its pid."""
        return self.run / f"envoy-{self.owner}.pid"

    def remove(self) -> None:
        """Remove what only this Envoy and its parent used."""
        for file in (self.bootstrap, self.admin, self.xds, self.pid):
            file.unlink(missing_ok=True)

    @property
    def base_id(self) -> Path:
        """Where the first Envoy of a line writes the id it chose."""
        return self.run / "base-id"

    @property
    def handover(self) -> Path:
        """Prefix of the sockets by which an Envoy takes over from its predecessor."""
        return self.run / "hot"


def envoy_arguments(files: EnvoyFiles, *, base_id: int | None, concurrency: int) -> list[str]:
    """Build Envoy's arguments; without `base_id` it starts a new line and chooses one."""
    lineage = (
        ["--use-dynamic-base-id", "--base-id-path", str(files.base_id)]
        if base_id is None
        else ["--base-id", str(base_id), "--restart-epoch", str(files.epoch)]
    )
    return [
        *("--config-path", str(files.bootstrap)),
        *lineage,
        *("--socket-path", str(files.handover), "--socket-mode", "600"),
        *("--drain-time-s", str(DRAIN_SECONDS), "--drain-strategy", "immediate"),
        *("--parent-shutdown-time-s", str(_NEVER_SECONDS)),
        *("--concurrency", str(concurrency)),
        *("--log-level", "warning", "--log-format-escaped"),
    ]


def bootstrap(files: EnvoyFiles) -> Json:
    """Build the first file: admin and xDS on unix sockets, limits on memory and connections."""
    return {
        "node": {"id": f"modelyard-router-{files.owner}", "cluster": "modelyard"},
        "admin": {"address": {"pipe": {"path": str(files.admin), "mode": 0o600}}},
        "dynamic_resources": {
            "ads_config": _xds_api(),
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "cluster_manager": {"load_stats_config": _xds_api()},
        "static_resources": {"clusters": [_xds_cluster(files.xds)]},
        "layered_runtime": {"layers": [_limits_layer(), _published_layer()]},
        "overload_manager": _overload_manager(),
        # The count of the predecessor's connections is brought up to date with each flush, and a count
        # that is older than DRAIN_SECONDS would say zero too early.
        "stats_flush_interval": "0.5s",
    }


def _xds_api() -> Json:
    services = [{"envoy_grpc": {"cluster_name": _XDS_CLUSTER}}]
    return {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": services}


def _xds_cluster(socket: Path) -> Json:
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(socket)}}}}
    return {
        "name": _XDS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            _PROTOCOL_OPTIONS: {
                "@type": f"{_TYPE}{_PROTOCOL_OPTIONS}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {"cluster_name": _XDS_CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _limits_layer() -> Json:
    values = {
        f"envoy.resource_limits.listener.{LISTENER}.connection_limit": _MAX_CONNECTIONS,
        # The patterns are ours, the names in them at most 253 letters long; RE2 is linear in any case.
        "re2.max_program_size.error_level": _MAX_PATTERN_SIZE,
        "re2.max_program_size.warn_level": _MAX_PATTERN_SIZE,
    }
    return {"name": "limits", "static_layer": values}


def _published_layer() -> Json:
    config = {"ads": {}, "resource_api_version": "V3"}
    return {"name": "published", "rtds_layer": {"name": RUNTIME_LAYER, "rtds_config": config}}


def _overload_manager() -> Json:
    heap = {"@type": f"{_TYPE}envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig"}
    connections = {
        "@type": f"{_TYPE}envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    }
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": "envoy.resource_monitors.fixed_heap",
                "typed_config": {**heap, "max_heap_size_bytes": _MAX_HEAP_BYTES},
            },
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {**connections, "max_active_downstream_connections": _MAX_CONNECTIONS},
            },
        ],
        "actions": [
            _heap_action("envoy.overload_actions.shrink_heap", 0.95),
            _heap_action("envoy.overload_actions.stop_accepting_requests", 0.98),
        ],
    }


def _heap_action(name: str, threshold: float) -> Json:
    trigger = {"name": "envoy.resource_monitors.fixed_heap", "threshold": {"value": threshold}}
    return {"name": name, "triggers": [trigger]}


def file_owner(file: Path) -> int:
    """Return the pid in the name of an Envoy's file; 0 for any other file."""
    stem, _, owner = file.stem.rpartition("-")
    return int(owner) if stem in {"bootstrap", "admin", "xds", "envoy"} and owner.isdigit() else 0
