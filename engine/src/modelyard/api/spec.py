"""ServiceSpec: what a user asks for. Complete at birth: every default is filled in, every path absolute.

Units are in the names. Reading YAML or JSON into this is the `spec` room's job; nothing here parses.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

MAX_MODELS = 1_000
"""Models of one service; v1's limit."""
MODELS_FOLDER = "azureml-models"
"""Holds a service's models, below its application root."""


@attrs.frozen
class ModelRef:
    """A model: a file or a folder at `path`, known to the script as `name` / `version`."""

    name: str
    path: str
    version: str = "1"

    @property
    def folder(self) -> str:
        """Where the script finds it below its application root, as in v1; the one entry is `path`'s own name."""
        return f"{MODELS_FOLDER}/{self.name}/{self.version}"


@attrs.frozen
class CodeRef:
    """The scoring code: folder `source`, script `entry` inside it, optional request `sample` inside it.

    The sample's bytes are scored once by every new replica before it gets traffic.
    """

    source: str
    entry: str
    sample: str | None = None


@attrs.frozen
class LockedPackage:
    """A package of a lock file: this version and no other, and no file but wheels with one of these hashes."""

    name: str
    version: str
    hashes: tuple[str, ...]
    """`sha256:<hex>`, sorted."""
    marker: str = ""

    @property
    def line(self) -> str:
        """The package as a requirement."""
        return f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")


@attrs.frozen
class LockFile:
    """What a lock file (PEP 751) decides, sorted by name, and for which Pythons and machines it does."""

    packages: tuple[LockedPackage, ...]
    requires_python: str = ""
    environments: tuple[str, ...] = ()
    """Markers, one of which must hold; none = everywhere."""


@attrs.frozen
class EnvironmentSpec:
    """What the code needs. `requirements` are PEP 508 lines; `conda` a parsed conda file or None."""

    base: str | None = None
    python: str | None = None
    """Version as `3.11`, 3.8 and newer; None = the interpreter the engine itself runs on."""
    requirements: tuple[str, ...] = ()
    lock_file: LockFile | None = None
    """Packages that are locked already; the script gets these and no others."""
    conda: Mapping[str, object] | None = None
    docker_steps: tuple[str, ...] = ()
    dockerfile: str | None = None
    """The text of a Dockerfile whose image stands in place of `base`; like the steps it copies from the code."""
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
class BatchingSpec:
    """Requests run together, by scripts that declare it: `max_size` 1 = never."""

    max_size: int = 1
    max_wait_seconds: float = 0.005
    """How long the first request of a batch may wait for others."""


@attrs.frozen
class GrpcSpec:
    """What the gRPC side takes beyond plain messages."""

    compression: bool = False
    """Take and send gzip."""
    max_compression_ratio: int = 100
    """A compressed message that grows beyond this many times its size is refused."""


@attrs.frozen
class MultiModelSpec:
    """Each model served by name with a script of its own, loaded on demand and unloaded under a budget."""

    enabled: bool = False
    memory_bytes: int | None = None
    """Past this the least recently used models are unloaded; None = no budget."""


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
class Prebuilt:
    """What replicas start from, made before and elsewhere: an image, and where things lie inside it."""

    image: str
    """`host:port/repository@sha256:<hex>`, as nodes pull it."""
    environment: str
    """The folder with `bin/python` that the server runs in."""
    worker_environment: str = ""
    """The script's own, where it does not share the server's."""
    isolation: str = "thread"
    model_dir: str = ""
    """What the script is told as AZUREML_MODEL_DIR; empty without models."""
    app_root: str = ""
    """The folder over `azureml-models`; empty without models."""
    code_dir: str = ""
    code_digest: str = ""
    environment_key: str = ""
    model_digests: tuple[str, ...] = ()


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
    isolation: str = "auto"
    """Where the script runs: `thread` in the server's process, `process` in workers with an environment of
    their own, `auto` = thread where the script's packages resolve together with the runtime's."""
    workers: int = 1
    """Worker processes of each replica, each with an `init()` of its own."""
    batching: BatchingSpec = attrs.field(factory=BatchingSpec)
    compat: str | None = None
    """`strict-v1`: answer as v1 did where v1 was wrong."""
    cors: tuple[str, ...] = ()
    """Origins that browsers may call from; `*` = any."""
    grpc: GrpcSpec = attrs.field(factory=GrpcSpec)
    multi_model: MultiModelSpec = attrs.field(factory=MultiModelSpec)
    auth: str = "key"
    target: str = "process"
    prebuilt: Prebuilt | None = None
    """Set where the image was built before: then nothing is built, and the paths of code and models are not read."""
    description: str = ""
    tags: Mapping[str, str] = attrs.field(factory=dict)
    given: frozenset[str] = frozenset()
    """Dotted keys the file set itself (`request.timeout`); everything else is a default."""

    @property
    def slots(self) -> int:
        """Requests that one replica has in hand when it is busy: `max_concurrent` batches, each of `max_size`."""
        return self.request.max_concurrent * self.batching.max_size
