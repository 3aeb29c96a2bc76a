"""The routes under /v1. Each only routes: read the body, ask the engine, hand the value on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from litestar import delete, get, post
from litestar.params import Parameter
from litestar.response import Stream

from modelyard.api import (
    Device,
    EngineStatus,
    Finding,
    KeyPair,
    Operation,
    Plan,
    PluginRecord,
    ScalingRecord,
    ServiceSpec,
    ServiceView,
)
from modelyard.client.requests import (
    RollbackRequest,
    RotateKeyRequest,
    ScaleRequest,
    ShutdownRequest,
    read_request,
)
from modelyard.management.engine import Engine, Shutdown
from modelyard.management.streams import MEDIA_TYPE, json_lines

MAX_LOG_LINES = 100_000
Body = dict[str, Any]
Lines = Annotated[int, Parameter(ge=0, le=MAX_LOG_LINES)]


@get("/v1/status", sync_to_thread=False)
def status(engine: Engine) -> EngineStatus:
    """Say what runs."""
    return engine.status()


@get("/v1/plugins", sync_to_thread=False)
def plugins(engine: Engine) -> tuple[PluginRecord, ...]:
    """List every plugin."""
    return engine.plugins()


@get("/v1/devices")
async def devices(engine: Engine) -> tuple[Device, ...]:
    """List the devices."""
    return await engine.devices()


@get("/v1/doctor")
async def doctor(engine: Engine) -> tuple[Finding, ...]:
    """Run every check."""
    return await engine.doctor()


@post("/v1/shutdown", status_code=202, sync_to_thread=False)
def stop_engine(data: Body, shutdown: Shutdown) -> None:
    """Begin to stop; the controller is gone once its pid file is."""
    shutdown(read_request(ShutdownRequest, data))


@post("/v1/plan", status_code=200)
async def plan(data: Body, engine: Engine) -> Plan:
    """Say what a deploy of this specification would do."""
    return await engine.plan(_spec(data))


@post("/v1/services", status_code=202)
async def deploy(data: Body, engine: Engine) -> Operation:
    """Start to deploy this specification."""
    return await engine.deploy(_spec(data))


@get("/v1/services", sync_to_thread=False)
def services(engine: Engine) -> tuple[ServiceView, ...]:
    """List the services."""
    return engine.services()


@get("/v1/services/{name:str}", sync_to_thread=False)
def service(name: str, engine: Engine) -> ServiceView:
    """Show one service."""
    return engine.service(name)


@delete("/v1/services/{name:str}", status_code=202)
async def remove(name: str, engine: Engine) -> Operation:
    """Drain the service and remove everything it made."""
    return await engine.delete(name)


@post("/v1/services/{name:str}/rollback", status_code=202)
async def rollback(name: str, data: Body, engine: Engine) -> Operation:
    """Go back to a revision."""
    return await engine.rollback(name, read_request(RollbackRequest, data).revision)


@post("/v1/services/{name:str}/scale", status_code=202)
async def scale(name: str, data: Body, engine: Engine) -> Operation:
    """Change the bounds."""
    asked = read_request(ScaleRequest, data)
    return await engine.scale(name, minimum=asked.minimum, maximum=asked.maximum, replicas=asked.replicas)


@get("/v1/services/{name:str}/keys", sync_to_thread=False)
def keys(name: str, engine: Engine) -> KeyPair:
    """Give both keys in clear."""
    return engine.keys(name)


@post("/v1/services/{name:str}/keys", status_code=200)
async def rotate_key(name: str, data: Body, engine: Engine) -> KeyPair:
    """Replace one key; live at the router when this answers."""
    asked = read_request(RotateKeyRequest, data)
    return await engine.rotate_key(name, asked.slot, asked.value)


@get("/v1/services/{name:str}/scaling", sync_to_thread=False)
def scaling(name: str, engine: Engine) -> tuple[ScalingRecord, ...]:
    """List the scaler's last decisions."""
    return engine.scaling(name)


@get("/v1/services/{name:str}/logs", media_type=MEDIA_TYPE, sync_to_thread=False)
def logs(
    name: str,
    engine: Engine,
    *,
    replica: str | None = None,
    lines: Lines = 100,
    follow: bool = False,
) -> Stream:
    """Stream log lines as JSON lines `{"value": "<line>"}`."""
    engine.service(name)  # an unknown name is a 404, not a stream that ends in an error
    return Stream(
        json_lines(engine.logs(name, replica=replica, lines=lines, follow=follow)), media_type=MEDIA_TYPE
    )


@get("/v1/operations/{operation_id:str}", sync_to_thread=False)
def operation(operation_id: str, engine: Engine) -> Operation:
    """Look at an operation once."""
    return engine.operation(operation_id)


@get("/v1/operations/{operation_id:str}/events", media_type=MEDIA_TYPE, sync_to_thread=False)
def events(operation_id: str, engine: Engine) -> Stream:
    """Stream the operation at each change, as JSON lines `{"value": {...}}`, until it is finished."""
    engine.operation(operation_id)
    return Stream(json_lines(engine.watch(operation_id)), media_type=MEDIA_TYPE)


@post("/v1/operations/{operation_id:str}/cancel", status_code=202)
async def cancel(operation_id: str, engine: Engine) -> Operation:
    """Ask for an end."""
    return await engine.cancel(operation_id)


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
]


def _spec(raw: Body) -> ServiceSpec:
    from modelyard.spec import parse_service

    return parse_service(raw, base=Path("/"), file="request")
