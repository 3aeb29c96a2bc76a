"""Targets: where replicas live, and the values a target is told and tells."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping
from typing import Literal, Protocol, runtime_checkable

import attrs

from modelyard.api.devices import DeviceGrant
from modelyard.api.images import ImageRef, OnLine
from modelyard.api.plugins import Maturity
from modelyard.api.refusals import Refusal
from modelyard.api.registries import Registry
from modelyard.api.spec import ServiceSpec

ReplicaId = str
"""`<service>-r<revision>-<6 letters or digits>`: unique over the engine's life, safe in paths and labels."""


READABLE_LAYERS = "modelyard.dev/layers"
"""A candidate's label: the compressions that layers of images may have there, as `gzip zstd`; absent = any."""


@attrs.frozen
class Candidate:
    """A place a replica could run: one node, with what is free there now."""

    node: str
    free_millicores: int
    free_memory_bytes: int
    labels: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class ReplicaPlan:
    """One replica to be: its id, where, and which devices it was granted."""

    id: ReplicaId
    node: str
    grant: DeviceGrant


@attrs.frozen
class Workload:
    """One revision of a service, ready to be started anywhere the target chooses to keep files.

    Paths are absolute and content-addressed: they never change under a running replica.
    `environment` is a folder with `bin/python`; the runtime is in it.
    """

    spec: ServiceSpec
    revision: int
    environment: str
    code_dir: str
    model_dir: str
    """AZUREML_MODEL_DIR as the script shall see it: the model's own folder when there is one model, the root of
    `<name>/<version>/...` when there are several, empty when there are none."""
    replicas: tuple[ReplicaPlan, ...] = ()
    app_root: str = ""
    """The folder over `azureml-models`, where each model lies in its `ModelRef.folder`; empty without models."""
    worker_environment: str = ""
    """The script's own environment, a folder with `bin/python`: it then runs in processes of that Python.
    Empty = it runs within the server's process."""
    image: ImageRef | None = None
    """What replicas of targets that take images start from; every path above is then one inside it."""


class ReplicaPhase(enum.Enum):
    """The life of a replica.

    STARTING has no traffic yet, READY may have it, DRAINING finishes its last requests, FAILED died or
    cannot start, STOPPED is gone.
    """

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"
    STOPPED = "stopped"


@attrs.frozen
class Replica:
    """What a target sees of one replica; everything here survives a restart of the engine."""

    id: ReplicaId
    service: str
    revision: int
    phase: ReplicaPhase
    address: str = ""
    """`unix:/path` or `host:port` of its HTTP/gRPC port; empty until there is one."""
    node: str = ""
    pid: int | None = None
    restarts: int = 0
    cause: str = ""
    """One line: why it failed or last restarted (`init() raised ValueError: ...`, `killed: memory limit`)."""
    remedy: str = ""
    retries: bool = True
    """Whether the target itself tries again after a failure; False = dead until it is applied again."""
    device_ids: tuple[str, ...] = ()
    resident_bytes: int = 0
    in_flight: int = 0
    """Running plus queued, as the replica itself counts them."""
    started_at: float = 0.0
    """Unix seconds."""


@runtime_checkable
class Target(Protocol):
    """Runs replicas somewhere. Every method is idempotent; the target remembers through labels or files.

    Raises `UserError` for what the spec's owner can mend and `SystemError_` otherwise.
    """

    @property
    def name(self) -> str:
        """The `target:` value of a spec that this target serves."""
        ...

    @property
    def maturity(self) -> Maturity:
        """How far this target may be relied on."""
        ...

    @property
    def artifact(self) -> Literal["environment", "image"]:
        """What `Workload.environment` must be."""
        ...

    def refuse(self, spec: ServiceSpec) -> tuple[Refusal, ...]:
        """Say what of this spec cannot be served here; pure; empty = all of it can."""
        ...

    async def candidates(self) -> tuple[Candidate, ...]:
        """List the places replicas could run now."""
        ...

    async def apply(self, workload: Workload) -> None:
        """Make the workload's planned replicas exist; never stops one that is not in the plan.

        Returns once they are started, not once they are ready: `observe` tells that.
        """
        ...

    async def observe(self) -> tuple[Replica, ...]:
        """List every replica of this engine, whoever started it; adopts what it finds."""
        ...

    async def drain(self, replica: ReplicaId) -> None:
        """Tell the replica to finish what it has and refuse what is new; returns at once."""
        ...

    async def delete(self, replica: ReplicaId) -> None:
        """Stop this very replica and remove everything it made, logs excepted; absent is fine."""
        ...

    def logs(self, replica: ReplicaId, *, lines: int, follow: bool) -> AsyncIterator[str]:
        """Yield the last `lines` of its log, then, with `follow`, each new line."""
        ...


@runtime_checkable
class ImageTarget(Target, Protocol):
    """A target whose `artifact` is "image": it has images brought to where its replicas start."""

    async def bring(self, image: ImageRef, registry: Registry, *, on_line: OnLine) -> None:
        """Make an image startable here; called before every `apply`, and quick where it is there already.

        `registry` is the record that has it. A target whose nodes fetch images by themselves only makes sure
        that they can: `Registry.address` says by which name. Raises `Unavailable` and `UserError`.
        """
        ...
