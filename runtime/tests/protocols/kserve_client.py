"""Run by KServe's own interpreter: ask a replica through both of its clients, print what they say as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig

X = np.array([[1, 2], [3, 4]], np.float32)


def request(*, binary: bool) -> InferRequest:
    tensor = InferInput("x", list(X.shape), "FP32")
    tensor.set_data_from_numpy(X, binary_data=binary)
    return InferRequest("digits", [tensor], request_id="9")


async def rest(url: str) -> dict[str, Any]:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    found: dict[str, Any] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model_ready": await client.is_model_ready(url, "digits"),
    }
    for binary in (False, True):
        answer = await client.infer(url, request(binary=binary), model_name="digits")
        found[f"y{binary}"] = answer.outputs[0].as_numpy().tolist()
        found["id"] = answer.id
    return found


async def grpc(target: str) -> dict[str, Any]:
    client = InferenceGRPCClient(target)
    found: dict[str, Any] = {
        "live": await client.is_server_live(),
        "ready": await client.is_server_ready(),
        "model_ready": await client.is_model_ready("digits"),
    }
    for binary in (False, True):
        answer = await client.infer(request(binary=binary))
        found[f"y{binary}"] = answer.outputs[0].as_numpy().tolist()
        found["id"] = answer.id
    await client.close()
    return found


async def main(port: str) -> None:
    told = {"rest": await rest(f"http://127.0.0.1:{port}"), "grpc": await grpc(f"127.0.0.1:{port}")}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
