"""A request for tensors on its way to a worker and back, the same whichever protocol carried it."""

from __future__ import annotations

from typing import Any

from modelyard_runtime.scoring import InferStream, Pool, ScoreStream
from modelyard_runtime.server.http import Scope
from modelyard_runtime.server.problems import Problem, ResultUnusable, Unimplemented
from modelyard_runtime.worker.requests import InferRequest, Tensor


def request_for(
    pool: Pool, inputs: tuple[Tensor, ...], outputs: tuple[str, ...], scope: Scope
) -> InferRequest:
    """Make what a worker is asked; headers travel only to scripts that read them."""
    about = pool.description
    return InferRequest(inputs, outputs, scope["headers"] if about is None or about.needs_headers else ())


def not_tensors(reply: Any) -> Problem:
    """Say why an answer that is no tensors cannot be sent; a stream's worker is told to stop."""
    if isinstance(reply, InferStream):
        reply.parts.close()
        return Unimplemented("this model answers several times: call ModelStreamInfer over gRPC")
    if isinstance(reply, ScoreStream):
        reply.chunks.close()
    return ResultUnusable("the script answered with a response of its own, not with tensors: ask /score")
