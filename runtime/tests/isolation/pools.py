"""A pool of real worker processes, and how a test asks it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from modelyard_runtime.contract import StartContract
from modelyard_runtime.scoring.processes import ProcessPool
from modelyard_runtime.worker.replies import Scored
from modelyard_runtime.worker.requests import InferRequest, ScoreRequest, Tensor

ECHO = """
import json
def init():
    pass
def run(data):
    return json.loads(data)
"""


class Bench:
    """One pool and what a test asks of it."""

    def __init__(self, contract: StartContract) -> None:
        self.changes = 0
        self.pool = ProcessPool(contract, self._changed)

    def _changed(self, _pool: Any) -> None:
        self.changes += 1

    def submit(
        self, body: bytes = b"1", *, within_s: float = 20.0, patience_s: float = 60.0
    ) -> asyncio.Future[Any]:
        request = ScoreRequest("POST", "/score", b"", (), body)
        return self.send(request, within_s=within_s, patience_s=patience_s)

    def send(self, request: Any, *, within_s: float = 20.0, patience_s: float = 60.0) -> asyncio.Future[Any]:
        now = time.monotonic()
        return self.pool.submit(
            request, now + within_s, asyncio.Event().wait, caller_deadline=now + patience_s
        )

    async def score(self, body: bytes = b"1", *, within_s: float = 20.0, patience_s: float = 60.0) -> bytes:
        reply = await self.submit(body, within_s=within_s, patience_s=patience_s)
        assert type(reply) is Scored
        return reply.body

    async def infer(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return (await self.send(InferRequest(tensors, (), ()))).outputs

    async def until(self, true: Callable[[], bool], *, within_s: float = 10.0) -> None:
        deadline = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < deadline, "what was waited for did not happen"
            await asyncio.sleep(0.005)

    async def ready(self) -> None:
        await self.until(lambda: self.pool.ready or self.pool.failure is not None)
        assert self.pool.failure is None, self.pool.failure


Scenario = Callable[[Bench], Awaitable[Any]]
Run = Callable[..., Any]


def fp32(values: np.ndarray, name: str = "x") -> Tensor:
    """Return the tensor as the front makes it of a received buffer."""
    return Tensor(name, "FP32", values.shape, memoryview(values.astype("<f4").tobytes()))
