"""Clusters, their endpoints and their breakers, as Envoy's JSON. Pure.

A cluster's definition depends on nothing but the service's name. Envoy replaces a cluster whose
definition changes, and the replaced one's requests in flight vanish from the load reports: draining
would believe a busy replica idle. What scales with the replicas therefore travels as endpoints and as
runtime values, which change in place.
"""

from __future__ import annotations

from typing import Any

from modelyard.router.routes import cluster_name, seconds
from modelyard.router.states import Endpoint, RoutedService, RouterState

Json = dict[str, Any]

RUNTIME_LAYER = "modelyard"
_PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_BREAKER_CEILING = 1_000_000
"""What a cluster allows until its runtime values have arrived."""
_OPTIONS: Json = {
    "@type": f"type.googleapis.com/{_PROTOCOL_OPTIONS}",
    # REST goes on as HTTP/1.1, gRPC as HTTP/2: the replica's one port speaks both.
    "useDownstreamProtocolConfig": {"httpProtocolOptions": {}, "http2ProtocolOptions": {}},
    # A replica's front closes idle connections too; ours must go first, or a request meets a closing one.
    "commonHttpProtocolOptions": {"idleTimeout": seconds(20)},
}


def cluster(service: RoutedService) -> Json:
    """Build a service's cluster: endpoints over ADS, least request, load reported."""
    limits = {"maxConnections": _BREAKER_CEILING, "maxPendingRequests": _BREAKER_CEILING}
    return {
        "name": cluster_name(service),
        "type": "EDS",
        "edsClusterConfig": {"edsConfig": {"ads": {}, "resourceApiVersion": "V3"}},
        "connectTimeout": seconds(1),
        "perConnectionBufferLimitBytes": 32 * 1024,
        "lbPolicy": "LEAST_REQUEST",
        # Without a window: an acknowledged "draining" must hold at once, not after Envoy's default second.
        "commonLbConfig": {"healthyPanicThreshold": {"value": 0.0}, "updateMergeWindow": seconds(0)},
        "lrsServer": {"self": {}},
        "typedExtensionProtocolOptions": {_PROTOCOL_OPTIONS: _OPTIONS},
        "circuitBreakers": {
            "thresholds": [{**limits, "maxRequests": _BREAKER_CEILING, "maxRetries": _BREAKER_CEILING}]
        },
        "outlierDetection": _ejection(),
    }


def _ejection() -> Json:
    """Leave out a replica that cannot be reached, never more than half of them, never the only one.

    What a replica answers does not count: a full queue says 503, and to shun it then would only fill
    its neighbours' queues.
    """
    return {
        "interval": seconds(1),
        "baseEjectionTime": seconds(2),
        "maxEjectionTime": seconds(30),
        "maxEjectionPercent": 50,
        "alwaysEjectOneHost": False,
        "splitExternalLocalOriginErrors": True,
        "consecutiveLocalOriginFailure": 5,
        "enforcingConsecutiveLocalOriginFailure": 100,
        "enforcingLocalOriginSuccessRate": 0,
        "enforcingSuccessRate": 0,
        "enforcingConsecutive5xx": 0,
        "enforcingConsecutiveGatewayFailure": 0,
    }


def load_assignment(service: RoutedService) -> Json:
    """List a service's endpoints; a draining one stays listed, so that its last requests are reported."""
    endpoints = sorted(service.endpoints, key=lambda endpoint: endpoint.address)
    hosts = [_host(endpoint) for endpoint in endpoints]
    locality = {"locality": {"zone": "local"}, "lbEndpoints": hosts, "loadBalancingWeight": 1}
    return {"clusterName": cluster_name(service), "endpoints": [locality] if hosts else []}


def _host(endpoint: Endpoint) -> Json:
    return {
        "endpoint": {"address": address_json(endpoint.address)},
        "healthStatus": "DRAINING" if endpoint.draining else "HEALTHY",
    }


def address_json(address: str) -> Json:
    """Write `unix:/path` or `host:port` as Envoy does."""
    if address.startswith("unix:"):
        return {"pipe": {"path": address.removeprefix("unix:")}}
    host, _, port = address.rpartition(":")
    return {"socketAddress": {"address": host.strip("[]"), "portValue": int(port)}}


def runtime(state: RouterState) -> Json:
    """Size each service's breakers by its replicas: what they run at once plus what they hold back."""
    values: dict[str, int] = {}
    for service in sorted(state.services, key=cluster_name):
        replicas = max(1, sum(not endpoint.draining for endpoint in service.endpoints))
        room = replicas * (service.max_concurrent + service.max_pending)
        for what in ("max_requests", "max_pending_requests"):
            values[f"circuit_breakers.{cluster_name(service)}.default.{what}"] = room
    return {"name": RUNTIME_LAYER, "layer": values}
