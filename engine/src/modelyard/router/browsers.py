"""What lets a page in a browser read the router's own errors: CORS headers for a service's origins. Pure.

A replica writes these headers into its own answers by the same rule; Envoy's filter sets the same values
again. Preflights are the replica's to answer: routes that take them carry no policy, or Envoy would.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

CORS_FILTER = "envoy.filters.http.cors"
_V3 = "type.googleapis.com/envoy.extensions.filters.http.cors.v3."


def cors_filter() -> Json:
    """Build the filter; it does nothing but on routes with a policy."""
    return {"name": CORS_FILTER, "typedConfig": {"@type": f"{_V3}Cors"}}


def cors_policy(origins: Sequence[str]) -> Json:
    """Build what a route says to the filter: the origins, letter for letter; `*` is any."""
    allowed = [{"exact": origin} for origin in origins]
    return {CORS_FILTER: {"@type": f"{_V3}CorsPolicy", "allowOriginStringMatch": allowed}} if allowed else {}


def varies(origins: Sequence[str]) -> Json:
    """Tell caches that an answer depends on the origin, where the replica has not."""
    if not origins:
        return {}
    vary = {"header": {"key": "vary", "value": "Origin"}, "appendAction": "ADD_IF_ABSENT"}
    return {"responseHeadersToAdd": [vary]}


def listed_origin(origins: Sequence[str]) -> Json:
    """Match requests of pages that may read answers."""
    if "*" in origins:
        return {"name": "origin", "presentMatch": True}
    pattern = "|".join(re.escape(origin) for origin in origins)
    return {"name": "origin", "stringMatch": {"safeRegex": {"regex": pattern}}}


def allow_sender() -> Json:
    """Name the sender's own origin, once the route has matched it: the filter passes direct answers over."""
    told = {"access-control-allow-origin": "%REQ(ORIGIN)%", "vary": "Origin"}
    added = [
        {"header": {"key": key, "value": value}, "appendAction": "ADD_IF_ABSENT"}
        for key, value in told.items()
    ]
    return {"responseHeadersToAdd": added}
