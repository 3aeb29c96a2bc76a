"""How soon the memory of the loaded models is looked at again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.scoring.looking import LONGEST_S, SHORTEST_S, Look, pause_s

LOOKS = st.builds(Look, st.floats(0, 1000), st.integers(0, 200), st.floats(0, 10))


def pause(*held: int, used: bool = True, apart_s: float = 5.0, took_s: float = 0.0) -> float:
    before, last = held
    looks = Look(10.0, before, took_s), Look(10.0 + apart_s, last, took_s)
    return pause_s(*looks, budget_bytes=100, used=used)


def test_models_that_nobody_uses_are_looked_at_rarely_however_near_the_budget_is():
    assert pause(95, 99, used=False) == LONGEST_S


def test_models_that_stand_still_far_from_the_budget_are_looked_at_rarely():
    assert pause(70, 70) == LONGEST_S


def test_used_models_near_the_budget_are_looked_at_often():
    assert pause(80, 80) == SHORTEST_S


def test_a_growing_model_is_looked_at_halfway_to_the_budget():
    assert pause(20, 60) == pytest.approx(2.5)


def test_a_look_that_costs_much_is_taken_the_more_rarely():
    assert pause(90, 90, took_s=0.04) == pytest.approx(2.0)
    assert pause(90, 90, took_s=1.0) == LONGEST_S


@given(before=LOOKS, last=LOOKS, budget=st.integers(1, 300), used=st.booleans())
def test_the_next_look_is_never_sooner_than_the_shortest_pause_nor_later_than_the_longest(
    before: Look, last: Look, budget: int, *, used: bool
):
    assert SHORTEST_S <= pause_s(before, last, budget_bytes=budget, used=used) <= LONGEST_S
