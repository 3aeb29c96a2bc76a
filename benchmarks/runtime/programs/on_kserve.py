"""KServe: an async model over its v2 types, REST and gRPC; its request log is off."""

from __future__ import annotations

import sys

import models
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server
from kserve.utils.utils import generate_uuid

MAX_MESSAGE = 64 << 20


class Bench(Model):
    def __init__(self, variant: str) -> None:
        super().__init__("bench")
        self._predict = models.load(variant)
        self.ready = True

    async def predict(
        self, payload: InferRequest, headers: object = None, response_headers: object = None
    ) -> InferResponse:
        answer = self._predict(payload.inputs[0].as_numpy())
        output = InferOutput("output", list(answer.shape), "FP32")
        output.set_data_from_numpy(answer, binary_data=payload.from_grpc)
        return InferResponse(payload.id or generate_uuid(), "bench", [output])


if __name__ == "__main__":
    variant, rest, grpc = sys.argv[1:]
    size = [
        "--grpc_max_send_message_length",
        str(MAX_MESSAGE),
        "--grpc_max_receive_message_length",
        str(MAX_MESSAGE),
    ]
    model_server.args = model_server.parser.parse_args(size)
    ModelServer(http_port=int(rest), grpc_port=int(grpc), enable_latency_logging=False).start(
        [Bench(variant)]
    )
