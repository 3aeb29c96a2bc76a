"""The drain of one replica, as a sequence in which no request is lost.

Mark it DRAINING -> every router acknowledges -> nothing in flight at the routers -> tell the replica, which
from there on refuses what is new -> nothing in flight in the replica -> stop that very replica -> forget it.
Removed at once, its requests would vanish from the routers' counts while they still run; told too early, it
would refuse what a router sends in the moment before its workers know.
"""

from __future__ import annotations

import enum

import attrs


class DrainStep(enum.Enum):
    """What to do next."""

    WAIT_FOR_ROUTERS = "wait_for_routers"
    TELL_REPLICA = "tell_replica"
    WAIT_FOR_IDLE = "wait_for_idle"
    STOP = "stop"


@attrs.frozen
class DrainFacts:
    """What is known now. Counts are None while nobody has said since the step that they judge."""

    alive: bool
    """Whether the replica can still be running requests."""
    was_routed: bool
    """Whether a router was ever told of it."""
    acknowledged: bool
    told: bool
    router_in_flight: int | None
    replica_in_flight: int | None
    waited_s: float
    deadline_s: float


def next_drain_step(facts: DrainFacts) -> DrainStep:
    """Decide the next step; past the deadline, or with nobody to wait for, it is STOP."""
    if not facts.alive or not facts.was_routed or facts.waited_s >= facts.deadline_s:
        return DrainStep.STOP
    if not facts.acknowledged:
        return DrainStep.WAIT_FOR_ROUTERS
    if facts.router_in_flight != 0:
        return DrainStep.WAIT_FOR_IDLE
    if not facts.told:
        return DrainStep.TELL_REPLICA
    return DrainStep.STOP if facts.replica_in_flight == 0 else DrainStep.WAIT_FOR_IDLE
