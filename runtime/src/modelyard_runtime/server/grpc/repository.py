"""The model repository over gRPC: what there is and its state, as over REST."""

from __future__ import annotations

from google.protobuf.message import Message

from modelyard_runtime.oip import open_inference_pb2 as pb
from modelyard_runtime.server.grpc.calls import Call
from modelyard_runtime.server.grpc.inference import SERVICE
from modelyard_runtime.server.grpc.methods import Method, unary
from modelyard_runtime.server.repository import index, no_loading


async def _index(call: Call, asked: pb.RepositoryIndexRequest) -> Message:
    entries = index(call.service, asked.repository_name, only_ready=asked.ready)
    models = [pb.RepositoryIndexResponse.ModelIndex(**entry._asdict()) for entry in entries]
    return pb.RepositoryIndexResponse(models=models)


async def _refuse(_call: Call) -> None:
    raise no_loading()


METHODS: dict[str, Method] = {
    f"{SERVICE}RepositoryIndex": unary(pb.RepositoryIndexRequest, _index),
    f"{SERVICE}RepositoryModelLoad": Method(_refuse),
    f"{SERVICE}RepositoryModelUnload": Method(_refuse),
}
