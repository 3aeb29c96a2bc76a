"""A v1 entry script: what azureml-inference-server-http and `/score` serve."""

from __future__ import annotations

import json
import os

import models
import numpy as np


def init() -> None:
    global predict
    predict = models.load(os.environ["BENCH_VARIANT"])


def run(data: str) -> list[list[float]]:
    answer: list[list[float]] = predict(np.asarray(json.loads(data)["data"], np.float32)).tolist()
    return answer
