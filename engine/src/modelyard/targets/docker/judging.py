"""Turn what is known of a container into what the target tells of its replica. Pure."""

from __future__ import annotations

import attrs
from modelyard_runtime.contract import ReplicaStatus

from modelyard.api import Replica, ReplicaPhase
from modelyard.containers import Container, Inspected, State
from modelyard.targets.docker.labels import Identity, granted_of, is_deleting
from modelyard.targets.docker.orders import DATA_PORT

START_SECONDS = 30.0
"""A parent answers within a second; on a busy machine within some."""
CREATED_SECONDS = 15.0
"""Between creating and starting one passes less than that, unless whoever created it died."""
_LISTENING = frozenset({ReplicaPhase.READY, ReplicaPhase.DRAINING})
_SIGKILL = 137
_READ_LOG = "read its log with `engine logs --replica {}`"


@attrs.frozen
class Facts:
    """Everything that is known of one container at one moment."""

    identity: Identity
    container: Container
    inspected: Inspected | None
    """None = it went while it was looked into."""
    status: ReplicaStatus | None
    """What its parent says, or said within the last seconds."""
    answers: bool
    """Whether it said so now."""
    now: float
    """Unix seconds."""
    in_flight_before: int = 0
    last_words: str = ""
    """The last line of its log; looked for only when it does not run."""

    @property
    def runs(self) -> bool:
        """Whether it has a process."""
        return self.container.state in (State.RUNNING, State.PAUSED)


@attrs.frozen
class _Verdict:
    phase: ReplicaPhase
    cause: str = ""
    remedy: str = ""


def replica_of(facts: Facts) -> Replica:
    """Say what these facts amount to."""
    verdict = _judge(facts)
    container, inspected, status = facts.container, facts.inspected, facts.status if facts.runs else None
    given = granted_of(container.labels)
    reachable = verdict.phase in _LISTENING and facts.runs and container.address
    return Replica(
        id=facts.identity.replica,
        service=facts.identity.service,
        revision=facts.identity.revision,
        phase=verdict.phase,
        address=f"{container.address}:{DATA_PORT}" if reachable else "",
        node=given.node,
        pid=inspected.pid if inspected and facts.runs else None,
        restarts=(status.restarts if status else 0) + (inspected.restarts if inspected else 0),
        cause=verdict.cause,
        remedy=verdict.remedy,
        retries=container.state in (State.RUNNING, State.RESTARTING),
        device_ids=given.device_ids,
        resident_bytes=status.resident_bytes if status else 0,
        in_flight=_in_flight(facts),
        started_at=(status.started_at if status else 0.0) or (inspected.started_at if inspected else 0.0),
    )


def _in_flight(facts: Facts) -> int:
    status = facts.status
    if not facts.runs:
        return 0
    if facts.answers and status is not None and status.running is not None and status.queued is not None:
        return status.running + status.queued
    # Not known to be idle: whoever waits for zero must go on waiting.
    return max(facts.in_flight_before, 1)


def _judge(facts: Facts) -> _Verdict:
    container, inspected = facts.container, facts.inspected
    if inspected is None or container.state is State.REMOVING:
        return _Verdict(ReplicaPhase.STOPPED)
    if is_deleting(container.name):
        return _Verdict(ReplicaPhase.DRAINING if facts.runs else ReplicaPhase.STOPPED)
    if container.state is State.CREATED:
        return _created(facts, inspected)
    if container.state is State.PAUSED:
        return _Verdict(
            ReplicaPhase.FAILED, "its container is paused", f"let it go on: `docker unpause {container.name}`"
        )
    if container.state is State.RUNNING:
        return _running(facts, inspected)
    return _ended(facts, inspected)


def _created(facts: Facts, inspected: Inspected) -> _Verdict:
    if inspected.error:
        return _Verdict(
            ReplicaPhase.FAILED, f"Docker cannot start it: {inspected.error}", "mend that, then deploy again"
        )
    if facts.now - facts.container.created_at < CREATED_SECONDS:
        return _Verdict(ReplicaPhase.STARTING)
    return _Verdict(ReplicaPhase.FAILED, "the replica was never started", "deploy again")


def _running(facts: Facts, inspected: Inspected) -> _Verdict:
    status, log = facts.status, _READ_LOG.format(facts.identity.replica)
    if status is None:
        silent = facts.now - inspected.started_at
        if silent < START_SECONDS:
            return _Verdict(ReplicaPhase.STARTING)
        return _Verdict(ReplicaPhase.FAILED, "its parent does not answer, though its container runs", log)
    try:
        return _Verdict(ReplicaPhase(status.phase), status.cause, status.remedy)
    except ValueError:
        cause = f"the runtime reports an unknown phase {status.phase!r}"
        return _Verdict(ReplicaPhase.FAILED, cause, "deploy again with this engine")


def _ended(facts: Facts, inspected: Inspected) -> _Verdict:
    log = _READ_LOG.format(facts.identity.replica)
    if inspected.killed_for_memory:
        return _Verdict(
            ReplicaPhase.FAILED, "killed: memory limit", "raise resources.memory_limit, or serve less at once"
        )
    if inspected.error:
        return _Verdict(ReplicaPhase.FAILED, f"Docker cannot start it: {inspected.error}", log)
    cause = _end_of(facts.container.state, inspected.exit_code)
    return _Verdict(ReplicaPhase.FAILED, cause + (f": {facts.last_words}" if facts.last_words else ""), log)


def _end_of(state: State, exit_code: int) -> str:
    if state is State.RESTARTING:
        return f"replica parent died (exit status {exit_code}), Docker starts it again"
    if exit_code == _SIGKILL:
        return "its container was killed"
    if exit_code == 0:
        return "its container was stopped by hand"
    return f"replica parent died (exit status {exit_code})"
