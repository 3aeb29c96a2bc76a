"""What a script can be asked, whatever protocol carried it. Values; they cross process borders as frames."""

from __future__ import annotations

from typing import NamedTuple, Sequence, Tuple, Union

Buffer = Union[bytes, bytearray, memoryview]
HeaderList = Sequence[Tuple[bytes, bytes]]


class Tensor(NamedTuple):
    """One named tensor as it travels.

    `datatype` is the Open Inference Protocol's name (FP32, INT64, BYTES, BF16 ...), `data` row-major and
    little-endian; each element of BYTES is preceded by its length in 4 bytes. The length of `data` has been
    checked against `shape` and `datatype` before a Tensor is made.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Buffer


class ScoreRequest(NamedTuple):
    """One request to `/score`. `headers` have lower-case names; GET carries its input in `query`."""

    method: str
    path: str
    query: bytes
    headers: HeaderList
    body: bytes


class InferRequest(NamedTuple):
    """One request for named tensors; `outputs` empty = all."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    headers: HeaderList


Request = Union[ScoreRequest, InferRequest]
