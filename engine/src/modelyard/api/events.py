"""Facts handed to observe hooks, each after it happened."""

from __future__ import annotations

import attrs

from modelyard.api.images import ImageRef
from modelyard.api.plugins import PluginRecord
from modelyard.api.services import Plan
from modelyard.api.spec import ServiceSpec


@attrs.frozen
class Planned:
    """A plan was made, refused or not."""

    spec: ServiceSpec
    plan: Plan


@attrs.frozen
class Deployed:
    """A revision took over all traffic after `seconds`."""

    service: str
    revision: int
    seconds: float


@attrs.frozen
class ImageBuilt:
    """An image was built, since no registry had it, in `seconds` by the builder named."""

    image: ImageRef
    tag: str
    builder: str
    seconds: float


@attrs.frozen
class Scaled:
    """The wanted number of replicas changed."""

    service: str
    before: int
    after: int
    reason: str


@attrs.frozen
class ReplicaFailed:
    """A replica died or could not start."""

    service: str
    replica: str
    cause: str


@attrs.frozen
class Deleted:
    """A service is gone with everything it made."""

    service: str


@attrs.frozen
class PluginBroken:
    """A plugin was taken out of service."""

    record: PluginRecord
