"""MLServer: an async model in the server's own process (no worker pool), logs and metrics off."""

from __future__ import annotations

import asyncio
import sys

import models
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

MAX_MESSAGE = 64 << 20


class Bench(MLModel):
    async def load(self) -> bool:
        self._predict = models.load(sys.argv[1])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        answer = self._predict(NumpyCodec.decode_input(payload.inputs[0]))
        return InferenceResponse(model_name="bench", outputs=[NumpyCodec.encode_output("output", answer)])


def settings(rest: str, grpc: str) -> Settings:
    return Settings(
        debug=False,
        parallel_workers=0,
        host="127.0.0.1",
        http_port=int(rest),
        grpc_port=int(grpc),
        grpc_max_message_length=MAX_MESSAGE,
        metrics_endpoint=None,
        gzip_enabled=False,
    )


if __name__ == "__main__":
    asyncio.run(MLServer(settings(*sys.argv[2:4])).start([ModelSettings(name="bench", implementation=Bench)]))
