"""The route table, as Envoy's JSON: paths, gRPC selectors, key digests, limits. Pure.

Route names are stable: `<namespace>/<name>/<what>`, with `what` one of `score`, `swagger`, `health`,
`v2`, `preflight-score`, `preflight-v2`, `preflight-other`, `too-large`, `method`, `unknown` (under each of
the service's paths, the long one with `@namespace`), `grpc`, `grpc-stream`, `tfserving`, `bare-v2` and
`preflight-bare-v2` (with `@header`, `@route-header`, `@authority` or `@default`); refusals again with
`@page` for pages of listed origins. Beside them there are `request-id` and `unknown`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelyard.router.browsers import allow_sender, cors_policy, listed_origin, varies
from modelyard.router.states import DEFAULT_NAMESPACE, RoutedService, RouterState

Json = dict[str, Any]

ROUTES = "modelyard"
"""Name of the one route configuration."""
LUA_FILTER = "envoy.filters.http.lua"
SERVICE_HEADER = "modelyard-service"
V1_GRPC_HEADER = "x-ms-aml-grpc-service-route"
GRPC_PREFIX = "/inference.GRPCInferenceService/"
TFSERVING_PREFIX = "/tensorflow.serving."
MAX_REQUEST_ID_CHARS = 100
"""Azure ML v1's inference server answers 431 to longer ones."""

_INT64_MAX = 2**63 - 1
_IDLE_GRACE_SECONDS = 5.0
"""The idle limit waits for a silent replica a little longer than its own time limit, which answers 504."""
_METHODS = "GET|POST|OPTIONS|HEAD"
_STREAMS = (
    r"/(inference\.GRPCInferenceService/ModelStreamInfer"
    r"|grpc\.health\.v1\.Health/[A-Za-z]+"
    r"|grpc\.reflection\.v1(alpha)?\.ServerReflection/[A-Za-z]+)"
)
"""Calls that may stay open as long as their client likes; only silence ends them."""
_TYPE = "type.googleapis.com/"


def cluster_name(service: RoutedService) -> str:
    """Name the service's cluster: `service/<namespace>/<name>`; stats carry it too."""
    return f"service/{service.namespace}/{service.name}"


def route_configuration(state: RouterState) -> Json:
    """Build the one route configuration: every service's routes, then 404 for all the rest."""
    services = sorted(state.services, key=lambda service: (service.namespace, service.name))
    routes = [_request_id_route()]
    for service in services:
        routes += _path_routes(service)
    for selector in (_by_header, _by_v1_header, _by_authority):
        # `a.team` names service a of team before it can be taken for any address of the default's a.
        for service in sorted(services, key=lambda service: service.namespace == DEFAULT_NAMESPACE):
            routes += _selected_routes(service, *selector(service))
    if (chosen := _default_service(services)) is not None:
        routes += _selected_routes(chosen, "default", [_absent(SERVICE_HEADER), _absent(V1_GRPC_HEADER)])
    routes.append(_unknown_route())
    # Without validation a route to a cluster that is on its way out answers 503 instead of failing the table.
    return {
        "name": ROUTES,
        "validateClusters": False,
        "ignorePortInHostMatching": True,
        "virtualHosts": [{"name": ROUTES, "domains": ["*"], "routes": routes}],
    }


def _default_service(services: Sequence[RoutedService]) -> RoutedService | None:
    marked = [service for service in services if service.default] or services
    return marked[0] if len(marked) == 1 else None


def _path_routes(service: RoutedService) -> Iterator[Json]:
    yield from _routes_below(
        service, f"/api/v1/namespace/{service.namespace}/service/{service.name}", "@namespace"
    )
    if service.namespace == DEFAULT_NAMESPACE:
        yield from _routes_below(service, f"/api/v1/service/{service.name}", "")


def _routes_below(service: RoutedService, path: str, suffix: str) -> Iterator[Json]:
    limit = {"pathSeparatedPrefix": path, "headers": [_longer_than(service.max_body_bytes)]}
    for what in ("score", "v2") if service.cors else ():
        match = _preflight({"path": f"{path}/score"} if what == "score" else _below(f"{path}/v2"), [])
        yield _open(service, f"preflight-{what}{suffix}", match, f"/{what}")
    if service.cors:
        yield _refusal(service, f"preflight-other{suffix}", _preflight(_below(path), []), 405)
    yield from _refusals(service, f"too-large{suffix}", limit, 413)
    yield from _refusals(
        service, f"method{suffix}", {"pathSeparatedPrefix": path, "headers": [_other_method()]}, 405
    )
    yield _forward(service, f"score{suffix}", {"path": f"{path}/score"}, "/score")
    yield _forward(service, f"swagger{suffix}", {"path": f"{path}/swagger.json"}, "/swagger.json")
    yield _forward(service, f"health{suffix}", {"path": path}, "/")
    yield _forward(service, f"health{suffix}/", {"path": f"{path}/"}, "/")
    yield _forward(service, f"v2{suffix}", {"pathSeparatedPrefix": f"{path}/v2"}, "/v2")
    if service.cors:
        yield from _refusals(service, f"unknown{suffix}", _below(path), 404, NO_AUTH)


def _selected_routes(service: RoutedService, how: str, headers: list[Json]) -> Iterator[Json]:
    """Route gRPC and bare `/v2` by what the selector says, never by reading the body."""
    if service.cors:
        yield _open(service, f"preflight-bare-v2@{how}", _preflight(_below("/v2"), headers), "")
    size, allowed = _longer_than(service.max_body_bytes), [*headers, _method()]
    for what, match in _SELECTED.items():
        # a stream's length is never declared, and its messages are counted by the replica
        if what != "grpc-stream":
            yield from _refusals(
                service, f"{what}-too-large@{how}", {**match, "headers": [*headers, size]}, 413
            )
        limits = _GRPC_LIMITS[what](service) if what in _GRPC_LIMITS else None
        yield _forward(service, f"{what}@{how}", {**match, "headers": allowed}, "", limits)


def _by_header(service: RoutedService) -> tuple[str, list[Json]]:
    return "header", [_matches(SERVICE_HEADER, _qualified(service))]


def _by_v1_header(service: RoutedService) -> tuple[str, list[Json]]:
    name = re.escape(service.name)
    paths = [f"/namespace/{re.escape(service.namespace)}/service/{name}"]
    if service.namespace == DEFAULT_NAMESPACE:
        paths.append(f"/service/{name}")
    return "route-header", [
        _absent(SERVICE_HEADER),
        _matches(V1_GRPC_HEADER, f"/api/v1({'|'.join(paths)})/?"),
    ]


def _by_authority(service: RoutedService) -> tuple[str, list[Json]]:
    """`<name>`, `<name>.<namespace>` or anything below, with or without a port."""
    name, namespace = re.escape(service.name), re.escape(service.namespace)
    rest = r"(\.[^:]*)?" if service.namespace == DEFAULT_NAMESPACE else ""
    pattern = rf"{name}(\.{namespace}(\.[^:]*)?|{rest})(:[0-9]+)?"
    return "authority", [_absent(SERVICE_HEADER), _absent(V1_GRPC_HEADER), _matches(":authority", pattern)]


def _qualified(service: RoutedService) -> str:
    optional = "?" if service.namespace == DEFAULT_NAMESPACE else ""
    return f"({re.escape(service.namespace)}/){optional}{re.escape(service.name)}"


def _forward(
    service: RoutedService, what: str, match: Json, rewrite: str, limits: Json | None = None
) -> Json:
    route = _action(service, rewrite, limits)
    name = f"{service.namespace}/{service.name}/{what}"
    return _readable(_route(name, match, route, _auth(service)), service)


def _open(service: RoutedService, what: str, match: Json, rewrite: str) -> Json:
    """Let a browser's question through without a key: it cannot carry one, and no script ever sees it."""
    action = _action(service, rewrite, None)
    return _route(f"{service.namespace}/{service.name}/{what}", match, action, NO_AUTH)


def _action(service: RoutedService, rewrite: str, limits: Json | None) -> Json:
    """Forward, with limits on silence only: an answer that goes on coming is never cut."""
    limit = seconds(service.timeout_seconds)
    action: Json = {
        "cluster": cluster_name(service),
        "timeout": seconds(0),
        # Counts from the end of the request, and again from each piece of the answer. Until the request has
        # ended, which a stream in both directions does last, the idle limit watches.
        "retryPolicy": {**_RETRIES, "perTryIdleTimeout": limit},
        "idleTimeout": seconds(service.timeout_seconds + _IDLE_GRACE_SECONDS),
        **(limits or {}),
    }
    return {"route": action | ({"prefixRewrite": rewrite} if rewrite else {})}


def _refusals(
    service: RoutedService, what: str, match: Json, status: int, auth: Json | None = None
) -> Iterator[Json]:
    """Answer without a replica; a service with origins gets a second route, for their pages."""
    if service.cors:
        listed = {**match, "headers": [*match.get("headers", ()), listed_origin(service.cors)]}
        yield _refusal(service, f"{what}@page", listed, status, auth) | allow_sender()
    yield _refusal(service, what, match, status, auth)


def _refusal(service: RoutedService, what: str, match: Json, status: int, auth: Json | None = None) -> Json:
    """Answer without a replica; the key is checked first, as everywhere below a service."""
    name = f"{service.namespace}/{service.name}/{what}"
    return _route(name, match, {"directResponse": {"status": status}}, auth or _auth(service))


def _readable(route: Json, service: RoutedService) -> Json:
    """Let pages from the service's origins read what the route answers, errors of the router included."""
    filters = {**route["typedPerFilterConfig"], **cors_policy(service.cors)}
    return {**route, "typedPerFilterConfig": filters, **varies(service.cors)}


def _route(name: str, match: Json, action: Json, auth: Json) -> Json:
    return {"name": name, "match": match, **action, "typedPerFilterConfig": {LUA_FILTER: auth}}


def _request_id_route() -> Json:
    """Refuse request ids that would break a log line or a header of the answer."""
    fine = f"[!-~]{{1,{MAX_REQUEST_ID_CHARS}}}"
    match = {"prefix": "/", "headers": [{**_matches("x-request-id", fine), "invertMatch": True}]}
    return _route("request-id", match, {"directResponse": {"status": 431}}, NO_AUTH)


def _unknown_route() -> Json:
    return _route("unknown", {"prefix": "/"}, {"directResponse": {"status": 404}}, NO_AUTH)


def _auth(service: RoutedService) -> Json:
    """Give the digests to the filter; only mode `none` switches it off, an empty table refuses everybody."""
    if service.auth.mode == "none":
        return NO_AUTH
    return {
        "@type": f"{_TYPE}envoy.extensions.filters.http.lua.v3.LuaPerRoute",
        "filterContext": {"digests": dict(sorted(service.auth.digests.items()))},
    }


NO_AUTH: Json = {
    "@type": f"{_TYPE}envoy.extensions.filters.http.lua.v3.LuaPerRoute",
    "disabled": True,
}

_RETRIES: Json = {
    # Neither has reached the replica's code: sending it again scores nothing twice.
    "retryOn": "connect-failure,refused-stream",
    "numRetries": 2,
    "hostSelectionRetryMaxAttempts": "20",  # picks are random: few tries would often meet the dead one again
    "retryHostPredicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typedConfig": {
                "@type": f"{_TYPE}envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "retryBackOff": {"baseInterval": "0.010s", "maxInterval": "0.100s"},
}


def seconds(value: float) -> str:
    """Write a duration as protobuf JSON does."""
    return f"{value:.3f}s"


def _below(path: str) -> Json:
    return {"pathSeparatedPrefix": path}


def _preflight(match: Json, headers: list[Json]) -> Json:
    """Match a browser's question, which the replica's front answers: OPTIONS with these two headers."""
    asks = [_matches(":method", "OPTIONS"), _present("origin"), _present("access-control-request-method")]
    return {**match, "headers": [*headers, *asks]}


def _silence(service: RoutedService) -> Json:
    """Let a stream wait: its deadline is its client's and its replica's, the router could only cut it off."""
    return {"retryPolicy": _RETRIES, "idleTimeout": seconds(service.stream_idle_seconds)}


def _deadline(service: RoutedService) -> Json:
    """Honour the caller's `grpc-timeout` up to what the service allows a request."""
    return {"maxStreamDuration": {"grpcTimeoutHeaderMax": seconds(service.timeout_seconds)}}


_SELECTED: Mapping[str, Json] = {
    "grpc-stream": {"safeRegex": {"regex": _STREAMS}},
    "grpc": {"prefix": GRPC_PREFIX},
    "tfserving": {"prefix": TFSERVING_PREFIX},
    "bare-v2": {"pathSeparatedPrefix": "/v2"},
}
_GRPC_LIMITS = {"grpc-stream": _silence, "grpc": _deadline, "tfserving": _deadline}


def _matches(header: str, pattern: str) -> Json:
    return {"name": header, "stringMatch": {"safeRegex": {"regex": pattern}}}


def _present(header: str) -> Json:
    return {"name": header, "presentMatch": True}


def _absent(header: str) -> Json:
    return {"name": header, "presentMatch": False}


def _method() -> Json:
    return _matches(":method", _METHODS)


def _other_method() -> Json:
    return {**_method(), "invertMatch": True}


def _longer_than(limit_bytes: int) -> Json:
    return {"name": "content-length", "rangeMatch": {"start": str(limit_bytes + 1), "end": str(_INT64_MAX)}}
