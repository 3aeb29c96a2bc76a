"""A 10 MB FP32 tensor there and back over gRPC, by grpcio's client, one call at a time.

The client sends and takes bytes as they are: what is timed is the way and the server.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import grpc
import numpy as np
from asking import INFER, MODEL_INFER, UNLIMITED, infer_message
from measuring import cpu_us
from running import NotServing, Running

BYTES = 10_000_000
WARM_UP, CALLS = 5, 40


@dataclass(frozen=True)
class Large:
    """What one round of large calls showed."""

    p50_ms: float
    cpu_ms: float
    """Of the server, for one call."""


def large_tensor(server: Running) -> Large:
    raw = np.arange(BYTES // 4, dtype=np.float32).tobytes()
    body = infer_message((BYTES // 4,), raw)
    times = []
    with grpc.insecure_channel(f"127.0.0.1:{server.port(INFER)}", options=UNLIMITED) as channel:
        call = channel.unary_unary(MODEL_INFER)
        _warm_up(call, body, raw, server)
        before = cpu_us(server.pids)
        for _ in range(CALLS):
            started = time.perf_counter()
            answer = call(body, timeout=30)
            times.append(time.perf_counter() - started)
        used = cpu_us(server.pids) - before
    if raw not in answer:
        raise NotServing(f"{server.server.name} answered another tensor")
    return Large(p50_ms=sorted(times)[CALLS // 2] * 1e3, cpu_ms=used / CALLS / 1e3)


def _warm_up(call: grpc.UnaryUnaryMultiCallable, body: bytes, raw: bytes, server: Running) -> None:
    deadline = time.perf_counter() + 30
    for _ in range(WARM_UP):
        while True:
            try:
                answer = call(body, timeout=10, wait_for_ready=True)
            except grpc.RpcError as error:
                if time.perf_counter() > deadline:
                    raise NotServing(f"{server.server.name}: {error}") from error
                time.sleep(0.1)
            else:
                break
        if raw not in answer:
            raise NotServing(f"{server.server.name} answered another tensor")
