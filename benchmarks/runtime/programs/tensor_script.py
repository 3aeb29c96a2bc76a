"""The same model as a script over named arrays: Open Inference Protocol, REST and gRPC."""

from __future__ import annotations

import os

import models
import numpy as np


def init() -> None:
    global predict
    predict = models.load(os.environ["BENCH_VARIANT"])


def infer(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"output": predict(inputs["input"])}
