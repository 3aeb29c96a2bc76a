"""The routes under /v1. Each only routes: read the body, ask the engine, hand the value on."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from modelyard.api import (
    Device,
    EngineImageOrder,
    EngineStatus,
    Finding,
    KeyPair,
    Operation,
    Plan,
    PluginRecord,
    ScalingRecord,
    ServiceView,
)
from modelyard.client.requests import (
    RollbackRequest,
    RotateKeyRequest,
    ScaleRequest,
    ShutdownRequest,
    read_request,
)
from modelyard.management.bodies import Body, spec_of
from modelyard.management.engine import ServedState
from modelyard.management.image_routes import IMAGE_ROUTES
from modelyard.management.streams import MEDIA_TYPE, json_lines

MAX_LOG_LINES = 100_000
Name = FromPath[str]
Lines = Annotated[int, QueryParameter(ge=0, le=MAX_LOG_LINES)]


@get("/v1/status", sync_to_thread=False)
def status(state: ServedState) -> EngineStatus:
    """Say what runs."""
    return state.engine.status()


@get("/v1/plugins", sync_to_thread=False)
def plugins(state: ServedState) -> tuple[PluginRecord, ...]:
    """List every plugin."""
    return state.engine.plugins()


@get("/v1/devices")
async def devices(state: ServedState) -> tuple[Device, ...]:
    """List the devices."""
    return await state.engine.devices()


@get("/v1/doctor")
async def doctor(state: ServedState) -> tuple[Finding, ...]:
    """Run every check."""
    return await state.engine.doctor()


@post("/v1/shutdown", status_code=202, sync_to_thread=False)
def stop_engine(data: JSONBody[Body], state: ServedState) -> None:
    """Begin to stop; the controller is gone once its pid file is."""
    state.shutdown(read_request(ShutdownRequest, data))


@post("/v1/plan", status_code=200)
async def plan(data: JSONBody[Body], state: ServedState, *, frozen: FromQuery[bool] = False) -> Plan:
    """Say what a deploy of this specification would do; `frozen` uses stored locks alone."""
    return await state.engine.plan(spec_of(data), frozen=frozen)


@post("/v1/services", status_code=202)
async def deploy(data: JSONBody[Body], state: ServedState, *, frozen: FromQuery[bool] = False) -> Operation:
    """Start to deploy this specification; `frozen` uses stored locks alone."""
    return await state.engine.deploy(spec_of(data), frozen=frozen)


@get("/v1/services", sync_to_thread=False)
def services(state: ServedState) -> tuple[ServiceView, ...]:
    """List the services."""
    return state.engine.services()


@get("/v1/services/{name:str}", sync_to_thread=False)
def service(name: Name, state: ServedState) -> ServiceView:
    """Show one service."""
    return state.engine.service(name)


@delete("/v1/services/{name:str}", status_code=202)
async def remove(name: Name, state: ServedState) -> Operation:
    """Drain the service and remove everything it made."""
    return await state.engine.delete(name)


@post("/v1/services/{name:str}/rollback", status_code=202)
async def rollback(name: Name, data: JSONBody[Body], state: ServedState) -> Operation:
    """Go back to a revision."""
    return await state.engine.rollback(name, read_request(RollbackRequest, data).revision)


@post("/v1/services/{name:str}/scale", status_code=202)
async def scale(name: Name, data: JSONBody[Body], state: ServedState) -> Operation:
    """Change the bounds."""
    asked = read_request(ScaleRequest, data)
    return await state.engine.scale(
        name, minimum=asked.minimum, maximum=asked.maximum, replicas=asked.replicas
    )


@get("/v1/services/{name:str}/keys", sync_to_thread=False)
def keys(name: Name, state: ServedState) -> KeyPair:
    """Give both keys in clear."""
    return state.engine.keys(name)


@post("/v1/services/{name:str}/keys", status_code=200)
async def rotate_key(name: Name, data: JSONBody[Body], state: ServedState) -> KeyPair:
    """Replace one key; live at the router when this answers."""
    asked = read_request(RotateKeyRequest, data)
    return await state.engine.rotate_key(name, asked.slot, asked.value)


@get("/v1/services/{name:str}/scaling", sync_to_thread=False)
def scaling(name: Name, state: ServedState) -> tuple[ScalingRecord, ...]:
    """List the scaler's last decisions."""
    return state.engine.scaling(name)


@get("/v1/services/{name:str}/logs", media_type=MEDIA_TYPE, sync_to_thread=False)
def logs(
    name: Name,
    state: ServedState,
    *,
    replica: FromQuery[str | None] = None,
    lines: Lines = 100,
    follow: FromQuery[bool] = False,
) -> Stream:
    """Stream log lines as JSON lines `{"value": "<line>"}`."""
    state.engine.service(name)  # an unknown name is a 404, not a stream that ends in an error
    return Stream(
        json_lines(state.engine.logs(name, replica=replica, lines=lines, follow=follow)),
        media_type=MEDIA_TYPE,
    )


@get("/v1/operations/{operation_id:str}", sync_to_thread=False)
def operation(operation_id: Name, state: ServedState) -> Operation:
    """Look at an operation once."""
    return state.engine.operation(operation_id)


@get("/v1/operations/{operation_id:str}/events", media_type=MEDIA_TYPE, sync_to_thread=False)
def events(operation_id: Name, state: ServedState) -> Stream:
    """Stream the operation at each change, as JSON lines `{"value": {...}}`, until it is finished."""
    state.engine.operation(operation_id)
    return Stream(json_lines(state.engine.watch(operation_id)), media_type=MEDIA_TYPE)


@post("/v1/operations/{operation_id:str}/cancel", status_code=202)
async def cancel(operation_id: Name, state: ServedState) -> Operation:
    """Ask for an end."""
    return await state.engine.cancel(operation_id)


@post("/v1/engine-image", status_code=200, media_type=MEDIA_TYPE, sync_to_thread=False)
def build_engine_image(data: JSONBody[Body], state: ServedState) -> Stream:
    """Build the engine's own image; stream each step as JSON lines, and last the image."""
    order = read_request(EngineImageOrder, data)
    return Stream(json_lines(state.engine.build_engine_image(order)), media_type=MEDIA_TYPE)


ROUTES = [
    status,
    plugins,
    devices,
    doctor,
    stop_engine,
    plan,
    deploy,
    services,
    service,
    remove,
    rollback,
    scale,
    keys,
    rotate_key,
    scaling,
    logs,
    operation,
    events,
    cancel,
    *IMAGE_ROUTES,
    build_engine_image,
]
