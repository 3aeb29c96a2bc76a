"""The router: Envoy, told what to do over xDS and kept alive by a parent of its own.

States become resources in pure functions; the control plane serves them and hears load; the parent
(`python -m modelyard.router`) starts, drains and restarts Envoy. Decides nothing about replicas or
keys. Envoy's protobuf and gRPC stay inside `protos`. May import `processes`, `telemetry`, `api` and
the runtime's contract.
"""

from modelyard.router.envoys import envoy_binary
from modelyard.router.process import RouterProcess, RouterProcessStatus
from modelyard.router.resources import Resources, resources
from modelyard.router.states import (
    Endpoint,
    LoadReport,
    RoutedService,
    RouterState,
    XdsStatus,
    qualified_name,
)
from modelyard.router.xds import XdsServer

__all__ = [
    "Endpoint",
    "LoadReport",
    "Resources",
    "RoutedService",
    "RouterProcess",
    "RouterProcessStatus",
    "RouterState",
    "XdsServer",
    "XdsStatus",
    "envoy_binary",
    "qualified_name",
    "resources",
]
