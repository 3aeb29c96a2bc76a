"""The model repository over gRPC: which models there are, loading and unloading them by name."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from modelyard_runtime.oip import open_inference_pb2 as pb
from modelyard_runtime.server.grpc.calls import Call
from modelyard_runtime.server.grpc.inference import SERVICE
from modelyard_runtime.server.grpc.methods import Method, unary
from modelyard_runtime.server.problems import BadInput, Unimplemented

_HARMLESS = frozenset({"unload_dependents"})
"""No model of this server depends on another. Triton's other parameters replace a model's configuration or files."""


async def _index(call: Call, asked: pb.RepositoryIndexRequest) -> Message:
    repository = _repository(call)
    _check_repository(asked.repository_name)
    models = [
        pb.RepositoryIndexResponse.ModelIndex(
            name=entry.name, version=entry.version, state=entry.state, reason=entry.reason
        )
        for entry in repository.index()
        if entry.state == "READY" or not asked.ready
    ]
    return pb.RepositoryIndexResponse(models=models)


async def _load(call: Call, asked: pb.RepositoryModelLoadRequest) -> Message:
    repository = _repository(call)
    _check(asked)
    await repository.load(asked.model_name, "")
    return pb.RepositoryModelLoadResponse()


async def _unload(call: Call, asked: pb.RepositoryModelUnloadRequest) -> Message:
    repository = _repository(call)
    _check(asked)
    await repository.unload(asked.model_name, "")
    return pb.RepositoryModelUnloadResponse()


def _repository(call: Call) -> Any:
    repository = getattr(call.service, "repository", None)
    if repository is None:
        raise Unimplemented(
            "this service serves one script: it has no repository; set multi_model in its engine.yaml"
        )
    return repository


def _check(asked: pb.RepositoryModelLoadRequest | pb.RepositoryModelUnloadRequest) -> None:
    _check_repository(asked.repository_name)
    for name in asked.parameters:
        if name not in _HARMLESS:
            raise BadInput(
                f"a model is loaded as it was deployed: parameter '{name}' is not taken",
                place=f"parameters.{name}",
            )


def _check_repository(name: str) -> None:
    if name:
        raise BadInput(f"there is one repository, without a name; not '{name}'", place="repository_name")


METHODS: dict[str, Method] = {
    f"{SERVICE}RepositoryIndex": unary(pb.RepositoryIndexRequest, _index),
    f"{SERVICE}RepositoryModelLoad": unary(pb.RepositoryModelLoadRequest, _load),
    f"{SERVICE}RepositoryModelUnload": unary(pb.RepositoryModelUnloadRequest, _unload),
}
