"""The words that routes and filters are spelled with. Pure."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

TYPES = "type.googleapis.com/envoy."
HTTP_FILTERS = f"{TYPES}extensions.filters.http."
CONNECTIONS = f"{TYPES}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

PYVOY, ROUTER = "pyvoy", "router"
"""The two filters that can answer, by their names in the chain; each route leaves one of them out."""
OFF: Json = {"@type": f"{TYPES}config.route.v3.FilterConfig", "disabled": True}


def on(kind: str) -> Json:
    """Have a filter that is off take part in a route's requests; `kind` is the type of its settings there."""
    return {"@type": f"{TYPES}config.route.v3.FilterConfig", "config": {"@type": HTTP_FILTERS + kind}}


def router() -> Json:
    """Return the filter that answers, or forwards, as a route says."""
    kind = f"{HTTP_FILTERS}router.v3.Router"
    return {"name": ROUTER, "typed_config": {"@type": kind, "suppress_envoy_headers": True}}


def exactly(header: str, value: str) -> Json:
    """Match a header's one value."""
    return {"name": header, "string_match": {"exact": value}}


def like(header: str, pattern: str) -> Json:
    """Match a header that a pattern describes as a whole."""
    return {"name": header, "string_match": {"safe_regex": {"regex": pattern}}}


def present(header: str) -> Json:
    """Match a header, whatever it says."""
    return {"name": header, "present_match": True}


def absent(header: str) -> Json:
    """Match where a header is not there."""
    return {**present(header), "invert_match": True}


def headers(values: dict[str, str]) -> list[Json]:
    """Set headers, in place of any of the same name."""
    return [
        {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in values.items()
    ]
