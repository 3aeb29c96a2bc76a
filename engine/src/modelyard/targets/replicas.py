"""What every target of the engine knows of a replica: how its id is built, and what was set apart for it. Pure."""

from __future__ import annotations

import re

import attrs

from modelyard.api import ReplicaPlan, UserError, Workload

_ID = re.compile(r"(?P<service>[a-z](?:[-a-z0-9]*[a-z0-9])?)-r(?P<revision>[0-9]{1,9})-[a-z0-9]{6}")


@attrs.frozen
class Granted:
    """What was set apart for a replica."""

    node: str
    device_ids: tuple[str, ...]
    cpu_millicores: int
    memory_bytes: int


NOTHING = Granted(node="", device_ids=(), cpu_millicores=0, memory_bytes=0)


def granted(workload: Workload, plan: ReplicaPlan) -> Granted:
    """Say what a replica takes away from the next."""
    resources = workload.spec.resources
    return Granted(
        node=plan.node,
        device_ids=plan.grant.device_ids,
        cpu_millicores=resources.cpu_millicores,
        memory_bytes=resources.memory_bytes,
    )


def is_id(text: str) -> bool:
    """Say whether this is a replica's id."""
    return _ID.fullmatch(text) is not None


def check_id(replica: str) -> None:
    """Raise `UserError` for an id that is none: ids become paths and names."""
    if not is_id(replica):
        raise UserError(
            f"{replica!r} is not a replica id", remedy="write it as `<service>-r<revision>-<6 letters>`"
        )


def service_of(replica: str) -> tuple[str, int]:
    """Read service and revision out of an id."""
    match = _ID.fullmatch(replica)
    return (match["service"], int(match["revision"])) if match else (replica, 0)
