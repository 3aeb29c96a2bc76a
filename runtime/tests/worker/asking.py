"""Requests as the front makes them, and answers as tests read them."""

from __future__ import annotations

import json
import struct
from typing import Any

from modelyard_runtime.worker.replies import Scored
from modelyard_runtime.worker.requests import InferRequest, ScoreRequest, Tensor
from modelyard_runtime.worker.script import Script

JSON_HEADERS = ((b"content-type", b"application/json"),)


def posted(body: bytes | str, *, headers: Any = JSON_HEADERS, query: bytes = b"") -> ScoreRequest:
    raw = body.encode() if isinstance(body, str) else body
    return ScoreRequest("POST", "/score", query, headers, raw)


def got(query: bytes, headers: Any = ()) -> ScoreRequest:
    return ScoreRequest("GET", "/score", query, headers, b"")


def inferring(*tensors: Tensor, outputs: tuple[str, ...] = (), headers: Any = ()) -> InferRequest:
    return InferRequest(tensors, outputs, headers)


def fp32(name: str, rows: list[list[float]]) -> Tensor:
    flat = [value for row in rows for value in row]
    return Tensor(name, "FP32", (len(rows), len(rows[0])), struct.pack(f"<{len(flat)}f", *flat))


def scored(script: Script, body: bytes | str, **more: Any) -> Any:
    reply = script.answer(posted(body, **more))
    assert isinstance(reply, Scored), reply
    return json.loads(reply.body)
