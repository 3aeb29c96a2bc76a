"""What every server is asked, in its own words, and whether what it answers is right."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
from modelyard_runtime.oip import open_inference_pb2 as oip

ROW = (5.1, 3.5, 1.4, 0.2)
RIGHT = {"identity": (5.1, 3.5, 1.4), "iris": (0.9816, 0.0184, 0.0)}
TOLERANCE = 0.01
MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class WrongAnswer(Exception):
    """The server answered, but not what it should."""


@dataclass(frozen=True)
class Way:
    """One way to ask a server."""

    protocol: str
    """REST or gRPC."""
    path: str
    body: bytes

    def ask(self, port: int, variant: str, *, timeout_s: float = 5.0) -> int:
        """Ask once, check the values; returns the length of the answer. Raises OSError, `WrongAnswer`."""
        answer = self._call(port, timeout_s)
        numbers = _raw(answer) if self.protocol == "gRPC" else tuple(_numbers(json.loads(answer)))
        if len(numbers) != 3 or any(
            abs(a - b) > TOLERANCE for a, b in zip(numbers, RIGHT[variant], strict=True)
        ):
            raise WrongAnswer(f"port {port}, {self.path}: {numbers} is not {RIGHT[variant]}")
        return len(answer)

    def _call(self, port: int, timeout_s: float) -> bytes:
        return (call_grpc if self.protocol == "gRPC" else _post)(port, self.path, self.body, timeout_s)


def call_grpc(port: int, path: str, body: bytes, timeout_s: float) -> bytes:
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED) as channel:
        try:
            answer: bytes = channel.unary_unary(path)(body, timeout=timeout_s)
        except grpc.RpcError as error:
            raise ConnectionError(str(error)) from error
    return answer


def _post(port: int, path: str, body: bytes, timeout_s: float) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()
    if answer.status != 200:
        raise ConnectionError(f"status {answer.status}: {text[:200]!r}")
    return text


def _raw(message: bytes) -> tuple[float, ...]:
    reply = oip.ModelInferResponse.FromString(message)
    if reply.raw_output_contents:
        (raw,) = reply.raw_output_contents
        return struct.unpack(f"<{len(raw) // 4}f", raw)
    return tuple(reply.outputs[0].contents.fp32_contents)


def _numbers(document: object) -> Iterator[float]:
    """Yield the numbers of a v2 answer's first output, or of a list however nested."""
    if isinstance(document, dict):
        document = document["outputs"][0]["data"]
    if isinstance(document, list):
        for item in document:
            yield from _numbers(item)
    elif isinstance(document, int | float):
        yield float(document)


def infer_message(shape: tuple[int, ...], raw: bytes) -> bytes:
    """Return a ModelInferRequest with one FP32 tensor in raw contents."""
    request = oip.ModelInferRequest(model_name="bench", raw_input_contents=[raw])
    tensor = request.inputs.add()
    tensor.name, tensor.datatype = "input", "FP32"
    tensor.shape.extend(shape)
    return request.SerializeToString()


PLAIN = json.dumps({"data": [ROW]}).encode()
V2 = json.dumps({"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 4], "data": ROW}]}).encode()
INFER = Way("gRPC", MODEL_INFER, infer_message((1, 4), struct.pack("<4f", *ROW)))
V2_INFER = Way("REST", "/v2/models/bench/infer", V2)
