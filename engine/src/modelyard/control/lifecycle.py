"""Judge a service: from what was observed to one of v1's words, with the cause and the remedy."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from modelyard.api import Operation, OperationKind, Replica, ReplicaPhase, ServiceState


@attrs.frozen
class ServiceFacts:
    """What is known of a service now. `replicas`: of the serving revision, none that drains."""

    serving_revision: int
    wanted: int
    replicas: Sequence[Replica]
    operation: Operation | None = None
    """The newest operation."""
    trouble: str = ""
    """A cause outside the replicas: a lost target, no place for a replica, a router's refusal."""
    trouble_remedy: str = ""
    failure: str = ""
    """Why the last roll-out failed."""
    failure_remedy: str = ""


@attrs.frozen
class Health:
    """The word, and when it is not good news the cause and the remedy."""

    state: ServiceState
    message: str = ""
    remedy: str = ""


def judge(facts: ServiceFacts) -> Health:
    """Say how a service does."""
    cause, remedy = _cause(facts)
    if facts.operation is not None and not facts.operation.finished:
        return Health(_busy(facts.operation.kind), cause, remedy)
    ready = sum(one.phase is ReplicaPhase.READY for one in facts.replicas)
    if facts.serving_revision == 0:
        return Health(ServiceState.FAILED, facts.failure or "nothing was ever deployed", facts.failure_remedy)
    if ready == 0:
        return Health(ServiceState.FAILED, cause or "no replica is ready", remedy)
    if ready < facts.wanted or facts.trouble:
        return Health(
            ServiceState.UNHEALTHY, cause or f"{ready} of {facts.wanted} replicas are ready", remedy
        )
    return Health(ServiceState.HEALTHY)


def _busy(kind: OperationKind) -> ServiceState:
    return ServiceState.DELETING if kind is OperationKind.DELETE else ServiceState.TRANSITIONING


def _cause(facts: ServiceFacts) -> tuple[str, str]:
    if facts.trouble:
        return facts.trouble, facts.trouble_remedy
    for replica in facts.replicas:
        if replica.phase is ReplicaPhase.FAILED and replica.cause:
            return f"{replica.id}: {replica.cause}", replica.remedy
    return "", ""
