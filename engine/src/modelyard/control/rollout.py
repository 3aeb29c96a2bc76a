"""The roll-out of a revision as values: steps, verdicts, who gets traffic, where to go on after a crash.

New replicas first, each proven ready, then traffic, then the old ones drain. Until `COMMIT_STEP` starts the
old revision serves and everything can be undone; from there on the new one serves and nothing is undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from modelyard.api import Replica, ReplicaPhase, ScalingSpec

STEPS = ("snapshot", "environment", "place", "start", "ready", "route", "drain", "finish")
COMMIT_STEP = "drain"
START_GRACE_SECONDS = 5.0
"""What a replica may take beyond its own start limit to report that it missed it."""


@attrs.frozen
class Readiness:
    """How far new replicas are: `failed` with its cause, `ready`, or neither yet."""

    ready: bool = False
    failed: bool = False
    message: str = ""
    remedy: str = ""


@attrs.frozen
class Resume:
    """What to do with an operation that a crash interrupted: go on at `step`, or roll back because."""

    step: str | None
    because: str = ""


def step_after(step: str) -> str | None:
    """Name the step after this one; None after the last."""
    following = STEPS[STEPS.index(step) + 1 :]
    return following[0] if following else None


def committed(step: str) -> bool:
    """Say whether the new revision serves for good once this step has begun."""
    return STEPS.index(step) >= STEPS.index(COMMIT_STEP)


def replicas_for(scaling: ScalingSpec, running: int) -> int:
    """Decide how many replicas a new revision starts with: never fewer than the load needs now."""
    return max(scaling.minimum, min(scaling.maximum, running))


def verdict(planned: Sequence[str], seen: Sequence[Replica], *, waited_s: float, limit_s: float) -> Readiness:
    """Judge the start of new replicas by what is seen of them."""
    mine = {one.id: one for one in seen if one.id in set(planned)}
    for replica in mine.values():
        # The first failure may be bad luck (memory, a slow disk); the replica's parent tries once more.
        if replica.phase is ReplicaPhase.FAILED and (replica.restarts > 0 or not replica.retries):
            return Readiness(
                failed=True, message=replica.cause or f"{replica.id} failed", remedy=replica.remedy
            )
    ready = sum(one.phase is ReplicaPhase.READY for one in mine.values())
    if ready == len(planned):
        return Readiness(ready=True, message=f"{ready} of {len(planned)} ready")
    if waited_s >= limit_s + START_GRACE_SECONDS:
        return _late(mine.values(), ready=ready, planned=len(planned), limit_s=limit_s)
    return Readiness(message=f"{ready} of {len(planned)} ready")


def traffic(*, old_ready: frozenset[str], new_ready: frozenset[str], step: str) -> frozenset[str]:
    """Name the replicas that get new requests during a step; never nobody while an old one is ready."""
    if committed(step):
        return new_ready or old_ready
    if step == "route":
        return old_ready | new_ready
    return old_ready


def resume_at(step: str, *, inputs_present: bool, source_present: bool) -> Resume:
    """Decide where an interrupted roll-out goes on. A lost environment or model is made anew."""
    if committed(step):
        return Resume(step)
    if inputs_present:
        return Resume(step)
    if source_present:
        return Resume(STEPS[0])
    return Resume(None, "its files vanished while the engine was down")


def _late(seen: Iterable[Replica], *, ready: int, planned: int, limit_s: float) -> Readiness:
    causes = [one.cause for one in seen if one.cause]
    message = causes[0] if causes else f"{ready} of {planned} replicas became ready in {limit_s:.0f} s"
    return Readiness(
        failed=True,
        message=message,
        remedy="see `engine logs`; raise probes.startup_timeout if init() needs longer",
    )
