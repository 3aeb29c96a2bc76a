"""Many clients of one replica at once, over REST and gRPC, each in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import grpc
import numpy as np
from modelyard_runtime.oip import open_inference_pb2 as oip

from runtime.tests.behaviour.replicas import Replica, Reply

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"

NAPPING = """
import os, time

def init():
    pass

def infer(inputs):
    seconds = float(inputs["x"].ravel()[0])
    os.write(1, b"ran %r\\n" % seconds)
    time.sleep(seconds)
    return {"y": inputs["x"]}
"""
"""Sleeps as long as asked, and says so in the log."""


def napped(seconds: float) -> bytes:
    """Return a body that has `NAPPING` sleep."""
    return b'{"x": [%r]}' % seconds


def message(value: float) -> bytes:
    """Return a ModelInfer request with one number."""
    request = oip.ModelInferRequest(model_name="digits")
    request.inputs.add(name="x", datatype="FP64", shape=[1])
    request.raw_input_contents.append(np.array([value], "f8").tobytes())
    return request.SerializeToString()


def number(answer: bytes) -> float:
    """Return the number of a ModelInfer answer."""
    response = oip.ModelInferResponse.FromString(answer)
    return float(np.frombuffer(response.raw_output_contents[0], "f8")[0])


@contextlib.contextmanager
def channel(one: Replica) -> Iterator[grpc.Channel]:
    """Open a channel of its own: grpcio shares connections between channels unless told not to."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.insecure_channel(f"unix:{one.socket}", options=options) as opened:
        yield opened


class Crowd:
    """Clients in threads; `scores` sends and returns at once, the futures give the replies."""

    def __init__(self, one: Replica, clients: int) -> None:
        self._one = one
        self._threads = ThreadPoolExecutor(clients)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._threads.shutdown()

    def score(self, body: bytes) -> Future[Reply]:
        """Score once."""
        return self._threads.submit(self._one.ask, "POST", "/score", body)

    def scores(self, bodies: Sequence[bytes]) -> list[Future[Reply]]:
        """Score all at once."""
        return [self.score(body) for body in bodies]


@contextlib.contextmanager
def load(one: Replica, body: bytes, clients: int = 1) -> Iterator[None]:
    """Have clients score all the while, each as soon as it has its answer."""
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            one.ask("POST", "/score", body)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def settled(one: Replica, *, running: int, queued: int = 0) -> None:
    """Wait until just so many run and wait."""
    one.until(lambda: (told := one.status())["running"] == running and told["queued"] == queued)


def refused(call: Callable[[], object]) -> grpc.StatusCode:
    """Return the status of a call that must fail."""
    try:
        call()
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    raise AssertionError("the call should have been refused")
