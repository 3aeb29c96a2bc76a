"""What the controller needs of the rooms below it, as Protocols: tests give fakes, `wiring` the real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import attrs

from modelyard.api import (
    EngineImage,
    EngineImageOrder,
    EnvironmentSpec,
    ImageDetails,
    ImageOutlook,
    ImageRef,
    ImageSummary,
    LockReport,
    Progress,
    PruneReport,
    ServiceSpec,
    Target,
    TransferReport,
)
from modelyard.router import LoadReport, RouterState, XdsStatus
from modelyard.store import RevisionRecord

OnLine = Callable[[str], None]
History = Callable[[], Sequence[RevisionRecord]]
"""Gives every revision that is kept, of every service."""


@attrs.frozen
class Inspection:
    """What a look at a spec's files and environment found, nothing changed."""

    code_digest: str
    files: int
    total_bytes: int
    left_out: tuple[str, ...]
    model_digests: tuple[str, ...]
    environment_key: str
    environment_cached: bool
    isolation: str = ""
    """Where the script would run; empty = not known before the environment is solved."""
    isolation_why: str = ""
    environment_why: str = ""
    """Which input makes it another environment than those built before, where that is known."""
    base: str = ""
    """The image it stands on, and who signed that; empty = none, or not known."""


@attrs.frozen
class Kept:
    """A spec's code and models, kept by content."""

    code_digest: str
    code_dir: str
    model_digests: tuple[str, ...]
    model_dir: str
    models_root: str


@attrs.frozen
class Built:
    """Environments: the one that the server runs in, and the script's own, if it has one.

    With an image both are paths inside it.
    """

    key: str
    path: str
    worker_path: str = ""
    isolation: str = "thread"
    isolation_why: str = ""
    image: ImageRef | None = None
    locks: tuple[str, ...] = ()
    """The records of locks that it was made by."""


class Artifacts(Protocol):
    """Code, models and environments."""

    async def inspect(
        self, spec: ServiceSpec, target: Target, *, frozen: bool = False, recent: Sequence[str] = ()
    ) -> Inspection:
        """Look; change nothing. Raises `SnapshotError`, `EnvironmentUnsolvable` or `ImageUnbuildable`.

        `frozen` solves nothing; `recent` has keys of environments in use, the newest first.
        """
        ...

    async def keep(self, spec: ServiceSpec, revision: int) -> Kept:
        """Copy code and models into the engine's folders and the workspace registry; idempotent."""
        ...

    async def build(self, revision: RevisionRecord, target: Target, on_line: OnLine) -> Built:
        """Make what the target's replicas start from, or find it; code and models are kept already. Idempotent."""
        ...

    async def attest(self, revision: RevisionRecord, target: Target) -> None:
        """Keep what is known of a revision's image beside it; idempotent, and nothing for one without an image."""
        ...

    def explain_miss(self, old: EnvironmentSpec | None, new: EnvironmentSpec) -> str:
        """Say which input makes `new` another environment."""
        ...

    async def discard(self, service: str, revisions: Sequence[int], folders: Sequence[str]) -> None:
        """Remove trees nobody refers to any more and the registry's records of these revisions."""
        ...


class Images(Protocol):
    """What `engine images` asks. What yields `Progress` stops when nobody listens any more, and may be run again."""

    async def list(self, registry: str) -> tuple[ImageSummary, ...]:
        """List the images of a registry; empty = the workspace's."""
        ...

    async def show(self, name: str) -> ImageDetails:
        """Show an image, by the beginning of its key, or by service and revision. Raises `NotFound`."""
        ...

    async def why(self, spec: ServiceSpec) -> ImageOutlook:
        """Say whether a deploy would find what its replicas start from, and if not, why."""
        ...

    def lock(self, spec: ServiceSpec, *, platform: str) -> AsyncIterator[Progress[LockReport]]:
        """Solve what is unsolved and keep the locks; empty platform = the target's."""
        ...

    def refresh(
        self, spec: ServiceSpec, *, platform: str, dry_run: bool, expected: str
    ) -> AsyncIterator[Progress[LockReport]]:
        """Solve again; `expected` is the fingerprint of the only result that may be kept, empty = any."""
        ...

    def pull(self, reference: str, *, key: str) -> AsyncIterator[Progress[TransferReport]]:
        """Copy an environment's image into the workspace's registry; empty key = the image's own."""
        ...

    def push(self, key: str, *, registry: str) -> AsyncIterator[Progress[TransferReport]]:
        """Copy an environment's image of the workspace's registry to another one."""
        ...

    def prune(self, *, keep_days: float, dry_run: bool) -> AsyncIterator[Progress[PruneReport]]:
        """Remove images and locks that no revision refers to and that were not used for so long."""
        ...


class EngineImageBuilds(Protocol):
    """The engine's own image."""

    def build(self, order: EngineImageOrder) -> AsyncIterator[Progress[EngineImage]]:
        """Tell each step, and last the image; whoever stops listening stops the work. Idempotent."""
        ...


class Xds(Protocol):
    """The router's control plane."""

    async def start(self) -> None:
        """Listen."""
        ...

    async def stop(self) -> None:
        """Hang up; routers keep what they have."""
        ...

    def publish(self, state: RouterState) -> str:
        """Offer a state to every router; gives its version."""
        ...

    async def acknowledged(self, version: str, *, timeout_seconds: float) -> None:
        """Wait until every router took it; raises `Unavailable`."""
        ...

    @property
    def status(self) -> XdsStatus:
        """Who is connected, what they took, the refusal that stands."""
        ...


class Router(Protocol):
    """The router's process."""

    async def ensure(self) -> None:
        """Adopt the running router or start one. Raises `UserError` when its port is taken."""
        ...

    async def stop(self) -> None:
        """Let it finish what it has, then stop it."""
        ...

    @property
    def pid(self) -> int | None:
        """Its process, None when it does not run."""
        ...


@attrs.frozen
class Parts:
    """Everything outside the controller that it works with.

    `xds` is made with where load reports go, `images` with what revisions there are.
    """

    artifacts: Artifacts
    images: Callable[[History], Images]
    engine_images: EngineImageBuilds
    xds: Callable[[Callable[[LoadReport], None]], Xds]
    router: Router
    clock: Callable[[], float]
    """Monotonic seconds, the same clock that dates load reports."""
    wall_clock: Callable[[], float]
    """Unix seconds."""
    new_suffix: Callable[[], str]
    """Six fresh letters or digits."""
    interval_seconds: float = 0.25
    """How often replicas are looked at."""
    settle_seconds: float = 0.3
    """After a router acknowledged, its workers may for a moment still act on what they knew; one load report
    (250 ms) past that moment is believed."""
    acknowledge_seconds: float = 30.0
    """How long a router may take to acknowledge; it may just be starting."""
