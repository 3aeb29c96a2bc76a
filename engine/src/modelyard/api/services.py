"""What the controller tells of services, operations and plans; it crosses the management API as JSON."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from modelyard.api.refusals import Refusal
from modelyard.api.targets import Replica


class ServiceState(enum.Enum):
    """v1's words.

    Transitioning has an operation under way, Healthy serves as asked, Unhealthy serves short of it,
    Failed serves nothing.
    """

    TRANSITIONING = "Transitioning"
    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"
    FAILED = "Failed"
    DELETING = "Deleting"


class OperationState(enum.Enum):
    """v1's words."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class OperationKind(enum.Enum):
    """What changes a service."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    SCALE = "scale"
    ROTATE_KEY = "rotate_key"
    DELETE = "delete"


@attrs.frozen
class StepReport:
    """One named step of an operation; `seconds` is how long it took, or has taken so far."""

    name: str
    state: OperationState
    message: str = ""
    seconds: float = 0.0


@attrs.frozen
class Operation:
    """A change under way or done. `error`, `place`, `remedy` are set when it failed."""

    id: str
    service: str
    kind: OperationKind
    state: OperationState
    revision: int
    steps: tuple[StepReport, ...] = ()
    error_code: str = ""
    error: str = ""
    place: str = ""
    remedy: str = ""
    started_at: float = 0.0
    finished_at: float = 0.0
    result: Mapping[str, object] = attrs.field(factory=dict)

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.state is not OperationState.RUNNING


@attrs.frozen
class Revision:
    """One deployed version of a service; the last ten are kept for rollback."""

    number: int
    created_at: float
    code_digest: str
    environment_key: str
    model_digests: tuple[str, ...]
    outcome: str
    """`serving`, `superseded`, `failed`, `pending`."""
    cause: str = ""


@attrs.frozen
class ServiceView:
    """One line of `engine list` and the whole of `engine show`."""

    name: str
    state: ServiceState
    url: str
    grpc_url: str
    revision: int
    target: str
    auth: str
    replicas: tuple[Replica, ...] = ()
    replicas_wanted: int = 0
    in_flight: float = 0.0
    message: str = ""
    """The cause in one line when it is not healthy."""
    remedy: str = ""
    operation: Operation | None = None
    revisions: tuple[Revision, ...] = ()
    settings: tuple[Setting, ...] = ()
    description: str = ""
    tags: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Setting:
    """The effective value of one setting and who set it: `file` or `default`; `old` when it changes."""

    key: str
    value: str
    origin: str
    old: str | None = None


@attrs.frozen
class Plan:
    """What a deploy would do. `refusals` non-empty = it would be refused."""

    service: str
    revision: int
    changes: tuple[str, ...]
    """What differs from what runs (`code`, `environment: python`, `request.timeout`); empty = nothing."""
    steps: tuple[str, ...]
    settings: tuple[Setting, ...]
    included_files: int = 0
    included_bytes: int = 0
    left_out: tuple[str, ...] = ()
    environment_key: str = ""
    environment_cached: bool = False
    environment_why: str = ""
    """Which input made this a miss, against the running revision."""
    base: str = ""
    """The image it stands on, and who signed that; empty = none, or not known yet."""
    placements: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


@attrs.frozen
class ScalingRecord:
    """One scaler decision, as `engine scaling NAME` shows it. `at` is Unix seconds."""

    at: float
    replicas: int
    wanted: int
    in_flight: float
    utilization_percent: float
    reason: str


@attrs.frozen
class RouterStatus:
    """The router as seen over xDS: last acknowledged version, and the newest NACK while one stands."""

    connected: bool
    url: str
    version: str = ""
    nack: str = ""
    pid: int | None = None


@attrs.frozen
class EngineStatus:
    """What `engine up` and `engine version` report of the controller."""

    version: str
    pid: int
    home: str
    router: RouterStatus
    services: int
