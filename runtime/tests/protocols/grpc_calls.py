"""gRPC calls as bytes over ASGI, for tests of what no well-behaved client would send."""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

from modelyard_runtime.oip import open_inference_pb2 as pb
from modelyard_runtime.server.grpc.messages import status_pb2

OIP = "/inference.GRPCInferenceService/"
INFER = "def init(): pass\ndef infer(inputs): return {'y': next(iter(inputs.values()))}\n"


def frame(message: bytes, *, compressed: bool = False) -> bytes:
    return struct.pack(">BI", compressed, len(message)) + message


def frames(body: bytes) -> list[bytes]:
    found = []
    while body:
        (length,) = struct.unpack_from(">I", body, 1)
        found.append(body[5 : 5 + length])
        body = body[5 + length :]
    return found


def request(values: bytes = b"\0\0\x80?", **more: Any) -> Any:
    message = pb.ModelInferRequest(**{"model_name": "digits", "raw_input_contents": [values], **more})
    message.inputs.add(name="x", datatype="FP32", shape=[len(values) // 4])
    return message


def call(
    path: str, body: Any, *, headers: dict[str, str] | None = None, method: str = "POST"
) -> Callable[[Any], Awaitable[Any]]:
    """Make a scenario of one call; `body` is a message, or bytes or pieces as they are."""
    sent = body if isinstance(body, bytes | list) else frame(body.SerializeToString())

    async def scenario(client: Any) -> Any:
        full = path if path.startswith("/") else OIP + path
        return await client.ask(
            method, full, sent, headers={"content-type": "application/grpc", **(headers or {})}
        )

    return scenario


def status(reply: Any) -> int:
    return int(reply.trailers["grpc-status"])


def details(reply: Any) -> tuple[status_pb2.Status, dict[str, bytes]]:
    text = reply.trailers["grpc-status-details-bin"]
    told = status_pb2.Status.FromString(b64decode(text + "=" * (-len(text) % 4)))
    return told, {detail.type_url.rpartition(".")[2]: detail.value for detail in told.details}
