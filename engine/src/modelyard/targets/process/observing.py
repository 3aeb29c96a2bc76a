"""Turn what lies in a replica's folder into what a target tells of it. Pure but for `gather`."""

from __future__ import annotations

import attrs
from modelyard_runtime.contract import ReplicaState, StartContract

from modelyard.api import Replica, ReplicaPhase
from modelyard.processes import alive
from modelyard.targets.process.folders import ReplicaFolder
from modelyard.targets.replicas import Granted, service_of

_LISTENING = frozenset({ReplicaPhase.READY, ReplicaPhase.DRAINING})


@attrs.frozen
class Facts:
    """Everything that is known of one replica at one moment."""

    id: str
    contract: StartContract | None
    state: ReplicaState | None
    granted: Granted
    pid: int | None
    alive: bool
    deleting: bool
    address: str
    last_words: str = ""
    """The last line its parent wrote; asked for only when the parent is dead."""


def gather(folder: ReplicaFolder, *, last_words: str) -> Facts:
    """Read a folder; changes nothing."""
    parent = folder.recorded_parent()
    return Facts(
        id=folder.id,
        contract=folder.contract(),
        state=folder.state(),
        granted=folder.granted(),
        pid=parent.pid if parent else None,
        alive=parent is not None and alive(parent),
        deleting=folder.deleting,
        address=f"unix:{folder.socket}",
        last_words=last_words,
    )


def replica_of(facts: Facts) -> Replica:
    """Say what these facts amount to; `in_flight` is left to whoever asks the replica."""
    service, revision = service_of(facts.id)
    phase, cause, remedy = _judge(facts)
    state = facts.state
    return Replica(
        id=facts.id,
        service=service,
        revision=revision,
        phase=phase,
        address=facts.address if phase in _LISTENING else "",
        node=facts.granted.node,
        pid=facts.pid if facts.alive else None,
        restarts=state.restarts if state else 0,
        cause=cause,
        remedy=remedy,
        retries=facts.alive,
        device_ids=facts.granted.device_ids,
        resident_bytes=state.resident_bytes if state and facts.alive else 0,
        started_at=state.started_at if state else 0.0,
    )


def _judge(facts: Facts) -> tuple[ReplicaPhase, str, str]:
    state = facts.state
    if not facts.alive:
        return _dead(facts)
    if facts.deleting:
        return ReplicaPhase.DRAINING, "", ""
    if facts.contract is None:
        return ReplicaPhase.FAILED, "the start contract is missing or damaged", _READ_LOG.format(facts.id)
    if state is None or state.parent_pid != facts.pid:
        return ReplicaPhase.STARTING, "", ""  # an older parent's report says nothing of this one
    try:
        return ReplicaPhase(state.phase), state.cause, state.remedy
    except ValueError:
        return (
            ReplicaPhase.FAILED,
            f"the runtime reports an unknown phase {state.phase!r}",
            "deploy again with this engine",
        )


_READ_LOG = "read its log with `engine logs --replica {}`"


def _dead(facts: Facts) -> tuple[ReplicaPhase, str, str]:
    state = facts.state
    if facts.deleting or (state is not None and state.phase == ReplicaPhase.STOPPED.value):
        return ReplicaPhase.STOPPED, state.cause if state else "", ""
    if facts.pid is None:
        return ReplicaPhase.FAILED, "the replica was never started", "deploy again"
    earlier = state.cause if state and state.cause else facts.last_words
    cause = "replica parent died" + (f": {earlier}" if earlier else "")
    return ReplicaPhase.FAILED, cause, (state.remedy if state else "") or _READ_LOG.format(facts.id)
