"""LitServe: one worker, its fast queue, no logs."""

from __future__ import annotations

import sys

import litserve
import models
import numpy as np


class Bench(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self._predict = models.load(sys.argv[1])

    def decode_request(self, request: dict[str, list[list[float]]]) -> np.ndarray:
        return np.asarray(request["data"], np.float32)

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self._predict(rows)

    def encode_response(self, output: np.ndarray) -> list[list[float]]:
        answer: list[list[float]] = output.tolist()
        return answer


if __name__ == "__main__":
    server = litserve.LitServer(Bench(), accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[2]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="error",
        access_log=False,
    )
