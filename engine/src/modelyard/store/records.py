"""The rows of the store as values."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from modelyard.api import DeviceGrant, ImageRef, Operation, Revision, ServiceSpec


@attrs.frozen
class ServiceRecord:
    """A service: which revision serves (0 = none yet), how many replicas are wanted, bounds set by hand."""

    name: str
    created_at: float
    revision: int = 0
    wanted: int = 0
    bounds: tuple[int, int] | None = None
    """Set by `engine scale`; the next deploy forgets them, since its file decides."""
    deleting: bool = False


@attrs.frozen
class RevisionRecord:
    """A revision and everything needed to run it again; empty strings until the step that finds them out."""

    service: str
    number: int
    created_at: float
    spec: ServiceSpec
    outcome: str = "pending"
    cause: str = ""
    remedy: str = ""
    code_digest: str = ""
    code_dir: str = ""
    model_digests: tuple[str, ...] = ()
    model_dir: str = ""
    models_root: str = ""
    """The application root that holds the models; goes with the revision. `model_dir` is what scripts are told."""
    environment_key: str = ""
    environment_path: str = ""
    worker_environment_path: str = ""
    """The script's own, where it does not share the server's."""
    isolation: str = "thread"
    isolation_why: str = ""
    image: ImageRef | None = None
    """What replicas of targets that take images start from; both environment paths are then inside it."""
    frozen: bool = False
    """Whether only stored locks may be used."""
    locks: tuple[str, ...] = ()
    """The records of locks that its environment was made by."""

    def summary(self) -> Revision:
        """Give what users see of it."""
        return Revision(
            number=self.number,
            created_at=self.created_at,
            code_digest=self.code_digest,
            environment_key=self.environment_key,
            model_digests=self.model_digests,
            outcome=self.outcome,
            cause=self.cause,
        )


@attrs.frozen
class OperationRecord:
    """An operation, the step it is in, and what it was asked."""

    operation: Operation
    step: str = ""
    arguments: Mapping[str, int] = attrs.field(factory=dict)


@attrs.frozen
class GrantRecord:
    """One replica that is meant to exist: where, with which devices; `draining` once it is on its way out.

    `address` is where it was last seen ready: traffic keeps flowing there while its target is out of sight.
    """

    replica: str
    service: str
    revision: int
    node: str
    grant: DeviceGrant
    draining: bool = False
    address: str = ""
