"""The one listener, as Envoy's JSON: how connections and headers from outside are treated. Pure.

The settings follow Envoy's guide for edge proxies; tests read them back from a running Envoy.
"""

from __future__ import annotations

from functools import cache
from importlib import resources as package_files
from typing import Any

from modelyard.router.browsers import cors_filter
from modelyard.router.replies import local_reply_config
from modelyard.router.routes import LUA_FILTER, ROUTES, seconds
from modelyard.router.states import RouterState

Json = dict[str, Any]

LISTENER = "modelyard"
STAT_PREFIX = "ingress"
"""Stats read `http.ingress.downstream_rq_active` and so on."""

_TYPE = "type.googleapis.com/envoy.extensions."
_KIB = 1024
_HEADER_SECONDS = 10.0
_REQUEST_SECONDS = 600.0
"""For all of a request to arrive: 100 MB over a slow line; a byte a second defeats an idle limit."""
_STREAM_IDLE_SECONDS = 60.0
"""Until a route is known; routes bring their own."""
_CONNECTION_IDLE_SECONDS = 300.0
_CONNECTION_SECONDS = 3600.0
_NOBODY = {"addressPrefix": "255.255.255.255", "prefixLen": 32}
"""No caller counts as internal, not even on loopback: internal ones may steer Envoy by headers."""
_UNTRUSTED = ("x-client-id", "x-forwarded-client-cert", "x-original-url", "x-rewrite-url")
"""Who sends these claims to be somebody, or somewhere, else; `x-envoy-*` steers Envoy itself."""


def listener(state: RouterState) -> Json:
    """Build the listener: HTTP/1.1 and HTTP/2 on one port, routes over ADS."""
    address = {"address": state.listen_address, "portValue": state.listen_port}
    return {
        "name": LISTENER,
        "address": {"socketAddress": address},
        # Two routers on one port would each get half of the requests; like this the second is refused.
        "enableReusePort": False,
        "perConnectionBufferLimitBytes": 32 * _KIB,
        "filterChains": [
            {"filters": [_typed("envoy.filters.network.http_connection_manager", _manager(state))]}
        ],
    }


def _manager(state: RouterState) -> Json:
    return {
        "@type": f"{_TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "codecType": "AUTO",
        "statPrefix": STAT_PREFIX,
        "rds": {"routeConfigName": ROUTES, "configSource": {"ads": {}, "resourceApiVersion": "V3"}},
        "serverName": "modelyard",
        "serverHeaderTransformation": "OVERWRITE",
        "localReplyConfig": local_reply_config(),
        "accessLog": [_access_log()],
        **_trust(),
        **_limits(state),
        # the first: what later ones refuse passes it on the way back
        "httpFilters": [cors_filter(), _key_filter(), _typed("envoy.filters.http.router", _router_filter())],
    }


def _trust() -> Json:
    """Believe nothing that a client says about itself or about its path."""
    return {
        "useRemoteAddress": True,
        "skipXffAppend": False,
        "internalAddressConfig": {"unixSockets": False, "cidrRanges": [_NOBODY]},
        "normalizePath": True,
        "mergeSlashes": True,
        "pathWithEscapedSlashesAction": "REJECT_REQUEST",
        "forwardClientCertDetails": "SANITIZE",
        "earlyHeaderMutationExtensions": [_stripping()],
        "generateRequestId": True,
        "preserveExternalRequestId": True,
        "alwaysSetRequestIdInResponse": True,
        "requestIdExtension": {
            "typedConfig": {
                "@type": f"{_TYPE}request_id.uuid.v3.UuidRequestIdConfig",
                "packTraceReason": False,  # a caller's id stays as it is, letter for letter
            }
        },
    }


def _limits(state: RouterState) -> Json:
    return {
        "commonHttpProtocolOptions": {
            "idleTimeout": seconds(_CONNECTION_IDLE_SECONDS),
            "maxConnectionDuration": seconds(_CONNECTION_SECONDS),
            "headersWithUnderscoresAction": "REJECT_REQUEST",
            "maxHeadersCount": 100,
        },
        "http1SafeMaxConnectionDuration": True,
        "http2ProtocolOptions": {
            # a caller that vanished without a word is found, however long its streams may be silent
            "connectionKeepalive": {
                "interval": seconds(state.ping_seconds),
                "timeout": seconds(state.pong_seconds),
            },
            "maxConcurrentStreams": 100,
            "initialStreamWindowSize": 64 * _KIB,
            "initialConnectionWindowSize": 1024 * _KIB,
        },
        "maxRequestHeadersKb": 60,
        "requestHeadersTimeout": seconds(_HEADER_SECONDS),
        "requestTimeout": seconds(_REQUEST_SECONDS),
        "streamIdleTimeout": seconds(_STREAM_IDLE_SECONDS),
    }


def _stripping() -> Json:
    mutations: list[Json] = [{"remove": header} for header in _UNTRUSTED]
    mutations.append({"removeOnMatch": {"keyMatcher": {"prefix": "x-envoy-", "ignoreCase": True}}})
    config = {
        "@type": f"{_TYPE}http.early_header_mutation.header_mutation.v3.HeaderMutation",
        "mutations": mutations,
    }
    return _typed("envoy.http.early_header_mutation.header_mutation", config)


def _key_filter() -> Json:
    """Switched on for every route that does not say otherwise: a forgotten setting refuses."""
    config = {"@type": f"{_TYPE}filters.http.lua.v3.Lua", "defaultSourceCode": {"inlineString": key_script()}}
    return _typed(LUA_FILTER, config)


def _router_filter() -> Json:
    return {"@type": f"{_TYPE}filters.http.router.v3.Router", "suppressEnvoyHeaders": True}


def _access_log() -> Json:
    """One JSON line for each answer from 500 up. No header that could hold a key is named here."""
    fields = {
        "time": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        "route": "%ROUTE_NAME%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "duration_ms": "%DURATION%",
        "replica": "%UPSTREAM_HOST%",
        "bytes_received": "%BYTES_RECEIVED%",
    }
    config = {
        "@type": f"{_TYPE}access_loggers.stream.v3.StdoutAccessLog",
        "logFormat": {"jsonFormat": fields},
    }
    at_least_500 = {
        "op": "GE",
        "value": {"defaultValue": 500, "runtimeKey": "modelyard.access_log.least_status"},
    }
    return {
        **_typed("envoy.access_loggers.stdout", config),
        "filter": {"statusCodeFilter": {"comparison": at_least_500}},
    }


def _typed(name: str, config: Json) -> Json:
    return {"name": name, "typedConfig": config}


@cache
def key_script() -> str:
    """Return the key filter's Lua source: fixed, no user's input ever enters it."""
    return package_files.files("modelyard.router").joinpath("keyauth.lua").read_text(encoding="utf-8")
