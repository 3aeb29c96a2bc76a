"""mosec: its Rust front and one worker process, JSON in and out."""

from __future__ import annotations

import os

import models
import numpy as np
from mosec import Server, Worker


class Bench(Worker):
    def __init__(self) -> None:
        self._predict = models.load(os.environ["BENCH_VARIANT"])

    def forward(self, data: dict[str, list[list[float]]]) -> list[list[float]]:
        answer: list[list[float]] = self._predict(np.asarray(data["data"], np.float32)).tolist()
        return answer


if __name__ == "__main__":
    server = Server()
    server.append_worker(Bench, num=1)
    server.run()
