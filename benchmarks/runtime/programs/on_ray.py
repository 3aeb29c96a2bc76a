"""Ray Serve: one replica of one deployment behind its HTTP proxy; dashboard and access log off."""

from __future__ import annotations

import signal
import sys

import models
import numpy as np
import ray
from ray import serve
from ray.serve.schema import LoggingConfig
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=1_024, ray_actor_options={"num_cpus": 1})
class Bench:
    def __init__(self, variant: str) -> None:
        self._predict = models.load(variant)

    async def __call__(self, request: Request) -> list[list[float]]:
        rows = (await request.json())["data"]
        answer: list[list[float]] = self._predict(np.asarray(rows, np.float32)).tolist()
        return answer


if __name__ == "__main__":
    variant, port = sys.argv[1:3]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    ray.init(num_cpus=2, include_dashboard=False, configure_logging=False, log_to_driver=False)
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(port)},
        logging_config=LoggingConfig(enable_access_log=False),
    )
    serve.run(
        Bench.bind(variant), route_prefix="/predict", logging_config=LoggingConfig(enable_access_log=False)
    )
    signal.pause()
