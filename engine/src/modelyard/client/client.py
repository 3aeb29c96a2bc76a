"""The client: every verb of a running engine as a method; what `engine` and your programs are written on.

Synchronous; give each thread its own. Raises the errors of `modelyard.api`, the very class that the
engine raised.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from modelyard.api import (
    Device,
    EngineImage,
    EngineImageOrder,
    EngineStatus,
    Finding,
    KeyPair,
    KeySlot,
    Operation,
    Plan,
    PluginRecord,
    Progress,
    ScalingRecord,
    Secret,
    ServiceSpec,
    ServiceView,
    Unavailable,
)
from modelyard.client import paths, presence
from modelyard.client.images import ImagesClient
from modelyard.client.operations import Operations
from modelyard.client.requests import RollbackRequest, RotateKeyRequest, ScaleRequest, ShutdownRequest
from modelyard.client.scoring import Endpoint, InferAnswer, ScoreAnswer, Scorer
from modelyard.client.transport import Transport
from modelyard.processes import Home, find_home

if TYPE_CHECKING:
    from modelyard.client.tensors import TensorLike

SHUTDOWN_SECONDS = 120.0
"""Replicas may finish what they run, each at most a minute."""


class Client:
    """Talks to the engine of `home` (None = the one of this environment). Use it as a context manager."""

    def __init__(self, home: Home | None = None, *, timeout_seconds: float = 30.0) -> None:
        self.home = home or find_home(os.environ)
        self._transport = Transport(self.home.controller_socket, timeout_seconds=timeout_seconds)
        self._operations = Operations(self._transport)
        self._scorer = Scorer(self._endpoint)
        self.images = ImagesClient(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give all connections back; the client may be used again."""
        self._transport.close()
        self._scorer.close()

    # --- the engine -------------------------------------------------------------------------

    def status(self) -> EngineStatus:
        """Say what runs: version, pid, router, number of services."""
        return self._transport.ask(EngineStatus, "GET", "/v1/status")

    def plugins(self) -> tuple[PluginRecord, ...]:
        """List every plugin, broken and disabled ones with their reason."""
        return self._transport.ask(tuple[PluginRecord, ...], "GET", "/v1/plugins")

    def devices(self) -> tuple[Device, ...]:
        """List the machine's devices with their health."""
        return self._transport.ask(tuple[Device, ...], "GET", "/v1/devices")

    def doctor(self) -> tuple[Finding, ...]:
        """Run every check."""
        return self._transport.ask(tuple[Finding, ...], "GET", "/v1/doctor")

    def shutdown(
        self,
        *,
        stop_replicas: bool = True,
        stop_router: bool = True,
        timeout_seconds: float = SHUTDOWN_SECONDS,
    ) -> None:
        """Stop the engine and return once it is gone. Raises `Unavailable` when that takes too long."""
        request = ShutdownRequest(stop_replicas=stop_replicas, stop_router=stop_router)
        self._transport.ask(type(None), "POST", "/v1/shutdown", body=request)
        self.close()
        presence.wait_until_gone(self.home, timeout_seconds=timeout_seconds)

    def build_engine_image(
        self,
        order: EngineImageOrder,
        *,
        on_progress: Callable[[Progress[EngineImage]], None] | None = None,
    ) -> EngineImage:
        """Build the engine's own image. Who breaks it off stops the work; the next call goes on from what is there."""
        path = "/v1/engine-image"
        for line in self._transport.stream(Progress[EngineImage], path, method="POST", body=order):
            if line is not None and line.result is not None:
                return line.result
            if line is not None and on_progress is not None:
                on_progress(line)
        raise Unavailable(
            "the engine stopped before its image was done",
            place=path,
            remedy="run `engine up`, then the command again: it goes on from what is there",
        )

    # --- services ---------------------------------------------------------------------------

    def plan(self, spec: ServiceSpec, *, frozen: bool = False) -> Plan:
        """Say what `deploy` would do, `frozen` with stored locks alone; changes nothing."""
        return self._transport.ask(Plan, "POST", "/v1/plan", body=_raw(spec), params=_frozen(frozen=frozen))

    def deploy(self, spec: ServiceSpec, *, frozen: bool = False) -> Operation:
        """Start to deploy, `frozen` with stored locks alone; the operation goes on without this client."""
        return self._transport.ask(
            Operation, "POST", "/v1/services", body=_raw(spec), params=_frozen(frozen=frozen)
        )

    def services(self) -> tuple[ServiceView, ...]:
        """List all services."""
        return self._transport.ask(tuple[ServiceView, ...], "GET", "/v1/services")

    def service(self, name: str) -> ServiceView:
        """Show one service."""
        return self._transport.ask(ServiceView, "GET", paths.service(name))

    def rollback(self, name: str, revision: int | None = None) -> Operation:
        """Go back to a revision; None = the one before."""
        body = RollbackRequest(revision=revision)
        return self._transport.ask(Operation, "POST", paths.service(name, "rollback"), body=body)

    def scale(
        self,
        name: str,
        *,
        replicas: int | None = None,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> Operation:
        """Change the bounds; `replicas` sets both."""
        body = ScaleRequest(replicas=replicas, minimum=minimum, maximum=maximum)
        return self._transport.ask(Operation, "POST", paths.service(name, "scale"), body=body)

    def delete(self, name: str) -> Operation:
        """Drain the service and remove everything it made."""
        return self._transport.ask(Operation, "DELETE", paths.service(name))

    def keys(self, name: str) -> KeyPair:
        """Give the service's keys in clear."""
        return self._transport.ask(KeyPair, "GET", paths.service(name, "keys"))

    def rotate_key(self, name: str, slot: KeySlot, value: Secret | None = None) -> KeyPair:
        """Replace one key; it is live at the router when this returns."""
        body = RotateKeyRequest(slot=slot, value=value)
        return self._transport.ask(KeyPair, "POST", paths.service(name, "keys"), body=body)

    def logs(
        self, name: str, *, replica: str | None = None, lines: int = 100, follow: bool = False
    ) -> Iterator[str]:
        """Yield the last lines of the replicas' logs, then, with `follow`, each new one."""
        params = {"lines": str(lines), "follow": "true" if follow else "false"}
        if replica is not None:
            params["replica"] = replica
        for line in self._transport.stream(str, paths.service(name, "logs"), params=params):
            if line is not None:
                yield line

    def scaling(self, name: str) -> tuple[ScalingRecord, ...]:
        """List the scaler's last decisions with their numbers."""
        return self._transport.ask(tuple[ScalingRecord, ...], "GET", paths.service(name, "scaling"))

    # --- operations -------------------------------------------------------------------------

    def operation(self, operation_id: str) -> Operation:
        """Look at an operation once."""
        return self._operations.get(operation_id)

    def watch(self, operation_id: str) -> Iterator[Operation]:
        """Yield the operation at each change until it is finished."""
        return self._operations.watch(operation_id)

    def cancel(self, operation_id: str) -> Operation:
        """Ask for an end: what was begun is undone, what served before still serves."""
        return self._operations.cancel(operation_id)

    def wait(
        self,
        operation_id: str,
        *,
        timeout_seconds: float | None = None,
        on_change: Callable[[Operation], None] | None = None,
    ) -> Operation:
        """Return the operation once it succeeded; raises the error it failed with.

        Raises `Unavailable` when `timeout_seconds` pass first; the operation goes on then.
        """
        return self._operations.wait(operation_id, timeout_seconds=timeout_seconds, on_change=on_change)

    # --- scoring, through the router --------------------------------------------------------

    def score(
        self,
        name: str,
        body: bytes,
        *,
        content_type: str = "application/json",
        key: Secret | None = None,
    ) -> ScoreAnswer:
        """POST a body to the service over HTTP; `key` None = the service's own primary key."""
        return self._scorer.score(name, body, content_type=content_type, key=key)

    def infer(
        self,
        name: str,
        inputs: Mapping[str, TensorLike],
        *,
        model: str = "",
        key: Secret | None = None,
        timeout_seconds: float = 60.0,
    ) -> InferAnswer:
        """Send tensors over gRPC (Open Inference Protocol); `model` empty = the service's name."""
        return self._scorer.infer(name, inputs, model=model or name, key=key, timeout_seconds=timeout_seconds)

    def _endpoint(self, name: str) -> Endpoint:
        view = self.service(name)
        key = None if view.auth == "none" else self.keys(name).primary
        return Endpoint(name=name, url=view.url, grpc_url=view.grpc_url, key=key)


def _raw(spec: ServiceSpec) -> dict[str, object]:
    from modelyard.spec import to_raw

    return to_raw(spec)


def _frozen(*, frozen: bool) -> dict[str, str]:
    return {"frozen": "true" if frozen else "false"}
