"""Choose a node for a replica among candidates that plugins have judged."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from modelyard.api import Candidate, Refusal, ResourceSpec


@attrs.frozen
class Assessment:
    """One candidate with every veto and, where there is none, its score from 0 to 1."""

    candidate: Candidate
    vetoes: tuple[Refusal, ...] = ()
    score: float = 0.0


@attrs.frozen
class Placement:
    """Where a replica goes, or why it goes nowhere: `node` is None exactly when there are refusals."""

    node: str | None
    reason: str
    refusals: tuple[Refusal, ...] = ()


def choose(assessments: Sequence[Assessment]) -> Placement:
    """Take the best-scored candidate that nobody vetoed; ties fall to the first node by name."""
    open_to = [one for one in assessments if not one.vetoes]
    if not open_to:
        return Placement(node=None, reason="no candidate is left", refusals=_refusals(assessments))
    best = min(open_to, key=lambda one: (-one.score, one.candidate.node))
    vetoed = len(assessments) - len(open_to)
    aside = f", {vetoed} vetoed" if vetoed else ""
    reason = f"score {best.score:.2f}, best of {len(open_to)}{aside}"
    return Placement(node=best.candidate.node, reason=reason)


def spend(candidates: Sequence[Candidate], node: str, resources: ResourceSpec) -> tuple[Candidate, ...]:
    """Take a replica's share off a node, so that the next one of the same plan sees what is left."""
    return tuple(
        attrs.evolve(
            one,
            free_millicores=one.free_millicores - resources.cpu_millicores,
            free_memory_bytes=one.free_memory_bytes - resources.memory_bytes,
        )
        if one.node == node
        else one
        for one in candidates
    )


def _refusals(assessments: Sequence[Assessment]) -> tuple[Refusal, ...]:
    vetoes = tuple(veto for one in assessments for veto in one.vetoes)
    return vetoes or (
        Refusal(
            plugin="engine",
            code="no_candidates",
            message="the target offers no place to run a replica",
            remedy="run `engine doctor` to see what the target lacks",
            retryable=True,
        ),
    )
