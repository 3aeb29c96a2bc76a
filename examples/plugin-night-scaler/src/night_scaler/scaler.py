"""`scaling: {scaler: night}`: the least number of replicas from 22 to 6 o'clock, else one for each busy slot."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

import attrs
from modelyard.api import Maturity, ScalingDecision, ScalingObservation

NIGHT_BEGINS, NIGHT_ENDS = 22, 6


def _local_hour() -> int:
    return datetime.now().astimezone().hour


@attrs.frozen
class NightScaler:
    """A scaler; `hour` is injected so that tests need no clock."""

    hour: Callable[[], int] = _local_hour
    name: str = "night"
    maturity: Maturity = Maturity.ALPHA

    def desired(self, observation: ScalingObservation) -> ScalingDecision:
        """Answer for one observation, within its limits."""
        limits = observation.limits
        slots = max(1, observation.replicas) * limits.max_concurrent
        utilization = 100 * observation.in_flight / slots
        if not NIGHT_ENDS <= self.hour() < NIGHT_BEGINS:
            return ScalingDecision(limits.minimum, "night", utilization)
        busy = math.ceil(observation.in_flight / limits.max_concurrent)
        wanted = min(limits.maximum, max(limits.minimum, busy))
        return ScalingDecision(wanted, f"{observation.in_flight:g} requests in flight", utilization)
