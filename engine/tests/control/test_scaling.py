"""The busy-replica scaler and the choice of who goes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import (
    Replica,
    ReplicaPhase,
    Scaler,
    ScalingLimits,
    ScalingObservation,
    ScalingSpec,
    UserError,
)
from modelyard.control import BusyScaler, effective_scaling, excess, rescale
from modelyard.control.scaling import CALM_SECONDS


@st.composite
def limits(draw: st.DrawFn) -> ScalingLimits:
    minimum = draw(st.integers(1, 20))
    return ScalingLimits(
        minimum=minimum,
        maximum=draw(st.integers(minimum, 40)),
        target_utilization_percent=draw(st.integers(1, 100)),
        refresh_seconds=1.0,
        max_concurrent=draw(st.integers(1, 16)),
    )


LOADS = st.floats(0, 1000, allow_nan=False)


def observe(limits: ScalingLimits, load: float, have: int, at: float, calm: float | None = None):
    return ScalingObservation(
        at_s=at, in_flight=load, replicas=have, starting=0, limits=limits, calm_since_s=calm
    )


def plain(maximum: int = 10, slots: int = 1) -> ScalingLimits:
    return ScalingLimits(
        minimum=1, maximum=maximum, target_utilization_percent=70, refresh_seconds=1.0, max_concurrent=slots
    )


@given(limits(), LOADS, st.integers(0, 60))
def test_the_first_answer_is_within_the_bounds_or_keeps_what_calm_has_not_released(
    bounds: Any, load: Any, have: Any
):
    decision = BusyScaler().desired(observe(bounds, load, have, 0.0))
    assert bounds.minimum <= decision.wanted <= bounds.maximum


@given(limits(), LOADS, LOADS, st.integers(0, 60))
def test_more_load_never_wants_fewer_replicas(bounds: Any, one: Any, other: Any, have: Any):
    low, high = sorted((one, other))
    scaler = BusyScaler()
    less = scaler.desired(observe(bounds, low, have, 0.0)).wanted
    assert less <= scaler.desired(observe(bounds, high, have, 0.0)).wanted


@given(limits(), st.lists(LOADS, min_size=2, max_size=60))
def test_replicas_never_go_inside_the_calm_minute(bounds: Any, loads: Any):
    have, calm, at = bounds.minimum, None, 0.0
    last_needed = {have: 0.0}
    for load in loads:
        decision = BusyScaler().desired(observe(bounds, load, have, at, calm))
        if decision.wanted < have:
            assert at - last_needed[have] >= CALM_SECONDS
        if decision.calm_since_s is None:
            last_needed[decision.wanted] = at
        have, calm, at = decision.wanted, decision.calm_since_s, at + 1.0


def test_the_first_busy_sample_scales_up_at_once():
    decision = BusyScaler().desired(observe(plain(), 3.5, 1, 0.0))
    assert decision.wanted == 5
    assert "3.50 in flight on 1 replicas" in decision.reason
    assert "5 needed" in decision.reason


def test_a_load_of_exactly_the_target_needs_no_further_replica():
    assert BusyScaler().desired(observe(plain(slots=10), 7.000000000000001, 1, 0.0)).wanted == 1


def test_a_minute_of_calm_scales_down_to_what_is_needed():
    decision = BusyScaler().desired(observe(plain(), 0.5, 5, 160.0, calm=100.0))
    assert (decision.wanted, decision.calm_since_s) == (1, None)
    assert "after 60 s of calm" in decision.reason


def test_calm_is_counted_from_the_first_sample_that_needs_less():
    decision = BusyScaler().desired(observe(plain(), 0.5, 5, 160.0))
    assert (decision.wanted, decision.calm_since_s) == (5, 160.0)
    assert "kept 5 for 60 s more" in decision.reason


def test_replicas_above_a_lowered_maximum_go_without_waiting_for_calm():
    assert BusyScaler().desired(observe(plain(maximum=2), 9.0, 5, 0.0)).wanted == 2


def test_replicas_on_their_way_count_as_capacity():
    observation = ScalingObservation(at_s=0.0, in_flight=2.0, replicas=1, starting=2, limits=plain())
    assert BusyScaler().desired(observation).wanted == 3


def test_the_scaler_keeps_the_protocol():
    assert isinstance(BusyScaler(), Scaler)


def replica(name: str, *, in_flight: int = 0, started_at: float = 0.0) -> Replica:
    return Replica(
        id=name,
        service="s",
        revision=1,
        phase=ReplicaPhase.READY,
        in_flight=in_flight,
        started_at=started_at,
    )


def test_the_least_busy_go_first_and_of_those_the_newest():
    fleet = [
        replica("old", started_at=1),
        replica("new", started_at=2),
        replica("busy", in_flight=3, started_at=3),
    ]
    assert excess(fleet, 1) == ("new", "old")


@given(st.integers(0, 12), st.integers(0, 12))
def test_exactly_the_surplus_goes(have: Any, wanted: Any):
    fleet = [replica(str(number)) for number in range(have)]
    assert len(excess(fleet, wanted)) == max(0, have - wanted)


def test_a_fixed_number_sets_both_bounds():
    assert rescale(ScalingSpec(), minimum=None, maximum=None, replicas=3) == (3, 3)


def test_one_bound_keeps_the_other():
    assert rescale(ScalingSpec(minimum=2, maximum=8), minimum=None, maximum=4, replicas=None) == (2, 4)


@pytest.mark.parametrize(
    ("minimum", "maximum", "replicas", "says"),
    [
        (None, None, None, "nothing to change"),
        (1, None, 2, "excludes"),
        (0, None, None, "at least one"),
        (5, 2, None, "above max"),
    ],
)
def test_senseless_bounds_are_refused(minimum: Any, maximum: Any, replicas: Any, says: Any):
    with pytest.raises(UserError, match=says):
        rescale(ScalingSpec(), minimum=minimum, maximum=maximum, replicas=replicas)


def test_bounds_set_by_hand_lie_over_the_file():
    spec = effective_scaling(ScalingSpec(minimum=1, maximum=4, scaler="mine"), (2, 3))
    assert (spec.minimum, spec.maximum, spec.scaler) == (2, 3, "mine")
