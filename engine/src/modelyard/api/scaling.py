"""Scaling: what a scaler sees and what it says."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import attrs

from modelyard.api.plugins import Maturity


@attrs.frozen
class ScalingLimits:
    """The spec's wishes: bounds, target in percent, refresh in seconds, slots of one replica."""

    minimum: int
    maximum: int
    target_utilization_percent: int
    refresh_seconds: float
    max_concurrent: int


@attrs.frozen
class ScalingObservation:
    """What was seen at `at_s` (monotonic seconds): requests in flight (running + queued) over all replicas.

    `calm_since_s` is when load last needed more than the wanted replicas below the present count;
    None while it still does. `replicas` counts those that serve, `starting` those on their way.
    """

    at_s: float
    in_flight: float
    replicas: int
    starting: int
    limits: ScalingLimits
    calm_since_s: float | None = None


@attrs.frozen
class ScalingDecision:
    """How many replicas are wanted, and why, with the numbers that led there."""

    wanted: int
    reason: str
    utilization_percent: float
    calm_since_s: float | None = None
    """Hand back as the next observation's `calm_since_s`."""


@runtime_checkable
class Scaler(Protocol):
    """Decides how many replicas a service needs; pure: no I/O, no clock of its own."""

    @property
    def name(self) -> str:
        """The record's name, unique among scalers."""
        ...

    @property
    def maturity(self) -> Maturity:
        """How far this scaler may be relied on."""
        ...

    def desired(self, observation: ScalingObservation) -> ScalingDecision:
        """Answer for one observation, always within the limits."""
        ...
