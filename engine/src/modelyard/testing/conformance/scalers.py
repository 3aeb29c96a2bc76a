"""The promise of `Scaler`."""

from __future__ import annotations

import itertools

import attrs
import pytest

from modelyard.api import Maturity, Scaler, ScalingDecision, ScalingLimits, ScalingObservation

LIMITS = ScalingLimits(
    minimum=2, maximum=8, target_utilization_percent=70, refresh_seconds=1.0, max_concurrent=4
)
OBSERVATIONS = [
    ScalingObservation(at_s=at_s, in_flight=in_flight, replicas=replicas, starting=starting, limits=LIMITS)
    for at_s, in_flight, replicas, starting in itertools.product(
        (0.0, 1e6), (0.0, 0.5, 7.0, 1e6), (0, 2, 8, 50), (0, 3)
    )
]


class ScalerConformance:
    """Override `scaler`."""

    @pytest.fixture
    def scaler(self) -> Scaler:
        """Give the scaler under test."""
        raise NotImplementedError

    def test_the_record_names_itself(self, scaler: Scaler) -> None:
        """It satisfies the Protocol with a name and a maturity."""
        assert isinstance(scaler, Scaler)
        assert scaler.name
        assert isinstance(scaler.maturity, Maturity)

    @pytest.mark.parametrize("seen", OBSERVATIONS)
    def test_a_decision_stays_within_the_limits(self, scaler: Scaler, seen: ScalingObservation) -> None:
        """Whatever was seen, even more replicas than allowed."""
        decision = scaler.desired(seen)
        assert isinstance(decision, ScalingDecision)
        assert LIMITS.minimum <= decision.wanted <= LIMITS.maximum

    @pytest.mark.parametrize("seen", OBSERVATIONS)
    def test_a_decision_gives_its_reason(self, scaler: Scaler, seen: ScalingObservation) -> None:
        """`engine scaling` shows it."""
        assert scaler.desired(seen).reason

    @pytest.mark.parametrize("seen", OBSERVATIONS)
    def test_the_same_observation_gives_the_same_decision(
        self, scaler: Scaler, seen: ScalingObservation
    ) -> None:
        """No clock and no memory of its own."""
        assert scaler.desired(seen) == scaler.desired(seen)

    def test_a_fixed_number_of_replicas_is_kept(self, scaler: Scaler) -> None:
        """Minimum equal to maximum leaves nothing to decide."""
        fixed = attrs.evolve(LIMITS, minimum=3, maximum=3)
        assert all(scaler.desired(attrs.evolve(seen, limits=fixed)).wanted == 3 for seen in OBSERVATIONS)
