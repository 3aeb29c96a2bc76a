"""The model repository over gRPC."""

from __future__ import annotations

from google.protobuf.message import Message

from modelyard_runtime.oip import open_inference_pb2 as pb
from modelyard_runtime.server import repository
from modelyard_runtime.server.grpc.calls import Call
from modelyard_runtime.server.grpc.inference import SERVICE
from modelyard_runtime.server.grpc.methods import Method, unary


async def _index(call: Call, asked: pb.RepositoryIndexRequest) -> Message:
    standings = repository.index(call.service, asked.repository_name, only_ready=asked.ready)
    models = [pb.RepositoryIndexResponse.ModelIndex(**one._asdict()) for one in standings]
    return pb.RepositoryIndexResponse(models=models)


async def _load(call: Call, asked: pb.RepositoryModelLoadRequest) -> Message:
    repository.check_parameters(dict(asked.parameters))
    await repository.load(call.service, asked.repository_name, asked.model_name)
    return pb.RepositoryModelLoadResponse()


async def _unload(call: Call, asked: pb.RepositoryModelUnloadRequest) -> Message:
    repository.check_parameters(dict(asked.parameters))
    await repository.unload(call.service, asked.repository_name, asked.model_name)
    return pb.RepositoryModelUnloadResponse()


METHODS: dict[str, Method] = {
    f"{SERVICE}RepositoryIndex": unary(pb.RepositoryIndexRequest, _index),
    f"{SERVICE}RepositoryModelLoad": unary(pb.RepositoryModelLoadRequest, _load),
    f"{SERVICE}RepositoryModelUnload": unary(pb.RepositoryModelUnloadRequest, _unload),
}
