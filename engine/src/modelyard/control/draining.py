"""The drain of one replica, as a sequence in which no request is lost.

Mark it DRAINING -> every router acknowledges -> tell the replica -> in flight zero at the routers and in
the replica -> stop that very replica -> forget it. Removed at once, its requests would vanish from the
routers' counts while they still run.
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
    """What is known now. Counts are None while nobody has said since the routers acknowledged."""

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
    if not facts.told:
        return DrainStep.TELL_REPLICA
    idle = facts.router_in_flight == 0 and facts.replica_in_flight == 0
    return DrainStep.STOP if idle else DrainStep.WAIT_FOR_IDLE
