"""The Open Inference Protocol's questions about the server and its models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message

from modelyard_runtime.oip import open_inference_pb2 as pb
from modelyard_runtime.server.about import (
    NAME,
    PLATFORM,
    VERSION,
    declared,
    extensions,
    is_ready,
)
from modelyard_runtime.server.grpc.calls import Call
from modelyard_runtime.server.grpc.inference import SERVICE
from modelyard_runtime.server.grpc.methods import Method, unary


async def _server_live(_call: Call, _asked: Message) -> Message:
    return pb.ServerLiveResponse(live=True)


async def _server_ready(call: Call, _asked: Message) -> Message:
    return pb.ServerReadyResponse(ready=call.service.ready)


async def _model_ready(call: Call, asked: pb.ModelReadyRequest) -> Message:
    return pb.ModelReadyResponse(ready=is_ready(call.service, asked.name, asked.version))


async def _server_metadata(call: Call, _asked: Message) -> Message:
    return pb.ServerMetadataResponse(name=NAME, version=VERSION, extensions=extensions(call.service))


async def _model_metadata(call: Call, asked: pb.ModelMetadataRequest) -> Message:
    versions = call.service.versions(asked.name, asked.version)
    inputs, outputs = declared(call.service, asked.name, asked.version)
    return pb.ModelMetadataResponse(
        name=asked.name or call.service.main,
        versions=versions,
        platform=PLATFORM,
        inputs=_tensors(inputs),
        outputs=_tensors(outputs),
    )


def _tensors(declarations: Sequence[dict[str, Any]]) -> list[pb.ModelMetadataResponse.TensorMetadata]:
    return [pb.ModelMetadataResponse.TensorMetadata(**declaration) for declaration in declarations]


METHODS: dict[str, Method] = {
    f"{SERVICE}ServerLive": unary(pb.ServerLiveRequest, _server_live),
    f"{SERVICE}ServerReady": unary(pb.ServerReadyRequest, _server_ready),
    f"{SERVICE}ModelReady": unary(pb.ModelReadyRequest, _model_ready),
    f"{SERVICE}ServerMetadata": unary(pb.ServerMetadataRequest, _server_metadata),
    f"{SERVICE}ModelMetadata": unary(pb.ModelMetadataRequest, _model_metadata),
}
