"""BentoML: an async method of one service; access log and metrics off."""

from __future__ import annotations

import os

import bentoml
import models
import numpy as np


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Bench:
    def __init__(self) -> None:
        self._predict = models.load(os.environ["BENCH_VARIANT"])

    @bentoml.api
    async def predict(self, rows: list[list[float]]) -> list[list[float]]:
        answer: list[list[float]] = self._predict(np.asarray(rows, np.float32)).tolist()
        return answer
