"""What a script can answer. Values, but for the two streams, which are read once by whoever sends them."""

from __future__ import annotations

from typing import Iterator, NamedTuple, Sequence, Union

from .requests import Tensor


class Scored(NamedTuple):
    """JSON text with status 200; `elapsed_ms` is the time inside `run()`."""

    body: bytes
    elapsed_ms: float


class HttpReply(NamedTuple):
    """What a raw-HTTP script answered by itself. `run_failed` becomes x-ms-run-function-failed."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    run_failed: bool
    elapsed_ms: float


class StreamReply(NamedTuple):
    """An answer that comes in pieces. Iterating runs the user's code: in the worker, never on an event loop.

    `elapsed_ms` is the time until `run()` returned, before most of the pieces were made.
    """

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    elapsed_ms: float
    chunks: Iterator[bytes]


class Inferred(NamedTuple):
    """Named tensors."""

    outputs: tuple[Tensor, ...]
    elapsed_ms: float


class InferredStream(NamedTuple):
    """Named tensors, several times: `infer()` or `run()` was a generator. Iterating runs the user's code."""

    parts: Iterator[tuple[Tensor, ...]]


Reply = Union[Scored, HttpReply, StreamReply, Inferred, InferredStream]
