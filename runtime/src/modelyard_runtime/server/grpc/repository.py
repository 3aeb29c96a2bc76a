"""The model repository over gRPC: asked for by Triton's clients, not served: a replica has one script."""

from __future__ import annotations

from modelyard_runtime.server.grpc.calls import Call
from modelyard_runtime.server.grpc.inference import SERVICE
from modelyard_runtime.server.grpc.methods import Method
from modelyard_runtime.server.problems import Unimplemented


async def _refuse(_call: Call) -> None:
    raise Unimplemented("this service serves one script: it has no repository of models to load by name")


METHODS: dict[str, Method] = {
    f"{SERVICE}{name}": Method(_refuse)
    for name in ("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload")
}
