"""How many replicas: the busy-replica scaler, bounds, and which replicas go first.

Up on the first sample that needs it, down after a minute of calm, always within the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from modelyard.api import (
    Maturity,
    Replica,
    ScalingDecision,
    ScalingLimits,
    ScalingObservation,
    ScalingSpec,
    UserError,
)

CALM_SECONDS = 60.0
"""How long load must need fewer replicas before one goes; v1's figure, and most cold starts are shorter."""
_ROUNDING = 1e-9
"""Averages are floats: 7.000000000000001 requests are 7, and must not cost a replica."""


@attrs.frozen
class BusyScaler:
    """Keeps the share of busy slots at the target: wanted = ceil(in flight / (target x slots))."""

    name: str = "busy"
    maturity: Maturity = Maturity.BETA
    calm_seconds: float = CALM_SECONDS

    def desired(self, observation: ScalingObservation) -> ScalingDecision:
        """Answer for one observation, always within the limits."""
        limits = observation.limits
        have = observation.replicas + observation.starting
        needed = _clamp(_needed(observation.in_flight, limits), limits)
        busy = _utilization_percent(observation)
        load = _load_text(observation, busy)
        if needed >= have or have > limits.maximum:
            return ScalingDecision(needed, f"{load}: {_needs(needed, limits)}", busy)
        since = observation.at_s if observation.calm_since_s is None else observation.calm_since_s
        calm = observation.at_s - since
        if calm >= self.calm_seconds:
            reason = f"{load}: {_needs(needed, limits)} after {calm:.0f} s of calm"
            return ScalingDecision(needed, reason, busy)
        reason = f"{load}: {_needs(needed, limits)}, kept {have} for {self.calm_seconds - calm:.0f} s more"
        return ScalingDecision(have, reason, busy, calm_since_s=since)


def effective_scaling(spec: ScalingSpec, override: tuple[int, int] | None) -> ScalingSpec:
    """Apply the bounds that `engine scale` set on top of the spec's."""
    if override is None:
        return spec
    return attrs.evolve(spec, minimum=override[0], maximum=override[1])


def rescale(
    now: ScalingSpec, *, minimum: int | None, maximum: int | None, replicas: int | None
) -> tuple[int, int]:
    """Work out new bounds from what was asked. Raises `UserError` for bounds that make no sense."""
    if replicas is not None and (minimum is not None or maximum is not None):
        raise UserError("replicas excludes min and max", remedy="give a fixed number, or bounds, not both")
    if replicas is minimum is maximum is None:
        raise UserError("nothing to change", remedy="give min, max or replicas")
    low = replicas if replicas is not None else now.minimum if minimum is None else minimum
    high = replicas if replicas is not None else now.maximum if maximum is None else maximum
    if low < 1:
        raise UserError(
            f"at least one replica is needed, {low} asked",
            remedy="use 1 or more; `engine delete` ends a service",
        )
    if low > high:
        raise UserError(f"min {low} is above max {high}", remedy="give bounds with min <= max")
    return low, high


def excess(replicas: Sequence[Replica], wanted: int) -> tuple[str, ...]:
    """Pick who goes when there are more than wanted: the least busy first, of those the newest."""
    surplus = max(0, len(replicas) - wanted)
    order = sorted(replicas, key=lambda one: (one.in_flight, -one.started_at, one.id))
    return tuple(one.id for one in order[:surplus])


def _needed(in_flight: float, limits: ScalingLimits) -> int:
    slots = limits.target_utilization_percent / 100 * limits.max_concurrent
    return math.ceil(in_flight / slots - _ROUNDING)


def _clamp(needed: int, limits: ScalingLimits) -> int:
    return max(limits.minimum, min(limits.maximum, needed))


def _utilization_percent(observation: ScalingObservation) -> float:
    slots = max(1, observation.replicas) * observation.limits.max_concurrent
    return 100 * observation.in_flight / slots


def _load_text(observation: ScalingObservation, busy: float) -> str:
    return (
        f"{observation.in_flight:.2f} in flight on {observation.replicas} replicas "
        f"= {busy:.0f} % of their slots (target {observation.limits.target_utilization_percent} %)"
    )


def _needs(needed: int, limits: ScalingLimits) -> str:
    bounded = " (the minimum)" if needed == limits.minimum else ""
    bounded = " (the maximum)" if needed == limits.maximum and needed != limits.minimum else bounded
    return f"{needed} needed{bounded}"
