"""The bodies of management requests that are not service specifications.

Unknown keys are refused: what a caller asks for is done or named as wrong, never dropped.
"""

from __future__ import annotations

from typing import TypeVar

import attrs

from modelyard.api import KeySlot, Secret, UserError
from modelyard.client import wire

T = TypeVar("T")


@attrs.frozen
class ScaleRequest:
    """New bounds of a service; `replicas` sets both. None leaves a bound as it is."""

    replicas: int | None = None
    minimum: int | None = None
    maximum: int | None = None


@attrs.frozen
class RollbackRequest:
    """The revision to go back to; None = the one before the present one."""

    revision: int | None = None


@attrs.frozen
class RotateKeyRequest:
    """Which key to replace, and with what; None = a fresh one."""

    slot: KeySlot
    value: Secret | None = None


@attrs.frozen
class ShutdownRequest:
    """What to stop besides the controller."""

    stop_replicas: bool = True
    stop_router: bool = True


@attrs.frozen
class PullRequest:
    """An image to copy into the workspace's registry; `key` empty = the one that it says it has."""

    reference: str
    key: str = ""


@attrs.frozen
class PushRequest:
    """An image of the workspace's registry, by the beginning of its key, and where it goes."""

    key: str
    registry: str


@attrs.frozen
class PruneRequest:
    """How long what nothing refers to stays; `dry_run` only says what would go."""

    keep_days: float = 30.0
    dry_run: bool = False


def read_request(kind: type[T], raw: object) -> T:
    """Build a request from parsed JSON. Raises `UserError` naming what is wrong."""
    try:
        return wire.from_raw_strictly(kind, raw)
    except wire.WireError as error:
        raise UserError(
            f"the request body is wrong: {error}",
            place="request body",
            remedy="see the OpenAPI document under /schema",
        ) from error
