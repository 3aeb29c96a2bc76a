"""grpc.health.v1: whether this server, or one of its services or models, takes requests."""

from __future__ import annotations

import asyncio

from google.protobuf.message import Message

from modelyard_runtime.server.about import is_ready
from modelyard_runtime.server.grpc.calls import Call
from modelyard_runtime.server.grpc.inference import SERVICE as OPEN_INFERENCE
from modelyard_runtime.server.grpc.messages import health_pb2 as pb
from modelyard_runtime.server.grpc.methods import Method, parse, unary
from modelyard_runtime.server.grpc.streams import patiently
from modelyard_runtime.server.grpc.tfserving import MODEL_SERVICE, PREDICTION_SERVICE
from modelyard_runtime.server.problems import NotFound
from modelyard_runtime.server.service import Service

SERVICE = "/grpc.health.v1.Health/"
LOOK_EVERY_S = 0.1
"""A watcher hears of a change this much later at most."""
_SERVICES = frozenset(
    path.strip("/") for path in (OPEN_INFERENCE, PREDICTION_SERVICE, MODEL_SERVICE, SERVICE)
)
_Status = pb.HealthCheckResponse


def status_of(service: Service, name: str) -> _Status.ServingStatus:
    """Return the status of the whole ("") , of a gRPC service, or of a model by its name."""
    if not name or name in _SERVICES:
        return _Status.SERVING if service.ready else _Status.NOT_SERVING
    if name not in service.models:
        return _Status.SERVICE_UNKNOWN
    return _Status.SERVING if is_ready(service, name, "") else _Status.NOT_SERVING


async def _check(call: Call, asked: pb.HealthCheckRequest) -> Message:
    status = status_of(call.service, asked.service)
    if status == _Status.SERVICE_UNKNOWN:
        raise NotFound(f"no service or model is called '{asked.service}'")
    return pb.HealthCheckResponse(status=status)


async def _watch(call: Call) -> None:
    asked = parse(pb.HealthCheckRequest, *await call.message())
    await call.start()
    await patiently(call, _tell_changes(call, asked.service))


async def _tell_changes(call: Call, name: str) -> None:
    leaving = asyncio.ensure_future(call.gone())
    told = None
    try:
        while not leaving.done():
            status = status_of(call.service, name)
            if status != told:
                told = status
                await call.answer((pb.HealthCheckResponse(status=status).SerializeToString(),), last=False)
            await asyncio.wait((leaving,), timeout=LOOK_EVERY_S)
    finally:
        leaving.cancel()


METHODS: dict[str, Method] = {
    f"{SERVICE}Check": unary(pb.HealthCheckRequest, _check),
    f"{SERVICE}Watch": Method(_watch),
}
