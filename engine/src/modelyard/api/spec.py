"""ServiceSpec: what a user asks for. Complete at birth: every default is filled in, every path absolute.

Units are in the names. Reading YAML or JSON into this is the `spec` room's job; nothing here parses.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

MAX_MODELS = 1_000
"""Models of one service; v1's limit."""


@attrs.frozen
class ModelRef:
    """A model: a file or a folder at `path`, known to the script as `name` / `version`."""

    name: str
    path: str
    version: str = "1"


@attrs.frozen
class CodeRef:
    """The scoring code: folder `source`, script `entry` inside it, optional request `sample` inside it.

    The sample's bytes are scored once by every new replica before it gets traffic.
    """

    source: str
    entry: str
    sample: str | None = None


@attrs.frozen
class EnvironmentSpec:
    """What the code needs. `requirements` are PEP 508 lines; `conda` a parsed conda file or None."""

    base: str | None = None
    python: str | None = None
    """Version as `3.11`; None = the interpreter the engine itself runs on."""
    requirements: tuple[str, ...] = ()
    conda: Mapping[str, object] | None = None
    docker_steps: tuple[str, ...] = ()
    variables: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class AcceleratorRequest:
    """One entry of the preference list: the first that can be granted wins."""

    kind: str = "cpu"
    model: str = ""
    count: int = 1
    memory_bytes: int = 0


@attrs.frozen
class ResourceSpec:
    """CPU in thousandths of a core and memory in bytes: what is asked, and the limits (None = none)."""

    cpu_millicores: int = 100
    memory_bytes: int = 512 * 1024 * 1024
    cpu_limit_millicores: int | None = None
    memory_limit_bytes: int | None = None
    accelerator: tuple[AcceleratorRequest, ...] = (AcceleratorRequest(),)


@attrs.frozen
class ScalingSpec:
    """Replica bounds; `minimum == maximum` is what a fixed `replicas` becomes. `scaler` picks a record."""

    minimum: int = 1
    maximum: int = 10
    target_utilization_percent: int = 70
    refresh_seconds: float = 1.0
    scaler: str = "busy"


@attrs.frozen
class RequestSpec:
    """Limits of one scoring request."""

    timeout_seconds: float = 60.0
    max_concurrent: int = 1
    """Requests that one replica runs at once."""
    queue_wait_seconds: float = 0.5
    max_body_bytes: int = 100_000_000

    @property
    def max_queued(self) -> int:
        """Requests that one replica holds back: ten for each that it runs."""
        return 10 * self.max_concurrent


@attrs.frozen
class ProbeSpec:
    """When a replica counts as started and as alive; v1's defaults but for the start."""

    startup_timeout_seconds: float = 300.0
    """Time for `init()` and the warm-up."""
    initial_delay_seconds: float = 310.0
    period_seconds: float = 10.0
    timeout_seconds: float = 2.0
    success_threshold: int = 1
    failure_threshold: int = 3


@attrs.frozen
class ServiceSpec:
    """One service as its user describes it."""

    name: str
    code: CodeRef
    models: tuple[ModelRef, ...] = ()
    environment: EnvironmentSpec = attrs.field(factory=EnvironmentSpec)
    resources: ResourceSpec = attrs.field(factory=ResourceSpec)
    scaling: ScalingSpec = attrs.field(factory=ScalingSpec)
    request: RequestSpec = attrs.field(factory=RequestSpec)
    probes: ProbeSpec = attrs.field(factory=ProbeSpec)
    auth: str = "key"
    target: str = "process"
    description: str = ""
    tags: Mapping[str, str] = attrs.field(factory=dict)
    given: frozenset[str] = frozenset()
    """Dotted keys the file set itself (`request.timeout`); everything else is a default."""
