"""Who leaves when memory is short."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.scoring.evicting import Resident, choose

RESIDENTS = st.lists(
    st.builds(
        Resident,
        st.tuples(st.text("ab", max_size=3), st.text("12", max_size=2)),
        st.integers(0, 100),
        st.floats(0, 100),
        st.booleans(),
    ),
    max_size=8,
    unique_by=lambda one: one.key,
)
BYTES = st.integers(0, 300)


def test_nobody_leaves_while_there_is_room():
    residents = [Resident(("a", "1"), 60, 1.0, kept=False)]
    assert choose(residents, need_bytes=40, budget_bytes=100) == ((), True)


def test_the_least_recently_used_leaves_first():
    residents = [Resident((name, "1"), 40, used, kept=False) for name, used in (("b", 2.0), ("a", 1.0))]
    assert choose(residents, need_bytes=50, budget_bytes=100) == ((("a", "1"),), True)


def test_who_is_busy_stays_and_what_is_needed_may_then_not_fit():
    residents = [Resident(("a", "1"), 80, 1.0, kept=True)]
    assert choose(residents, need_bytes=40, budget_bytes=100) == ((), False)


@given(RESIDENTS, BYTES, BYTES)
def test_nobody_that_is_kept_ever_leaves(residents: list[Resident], need: int, budget: int):
    leaving = choose(residents, need_bytes=need, budget_bytes=budget).leaving
    assert not {one.key for one in residents if one.kept} & set(leaving)


@given(RESIDENTS, BYTES, BYTES)
def test_it_fits_exactly_when_what_stays_and_what_is_needed_is_within_the_budget(
    residents: list[Resident], need: int, budget: int
):
    leaving, fits = choose(residents, need_bytes=need, budget_bytes=budget)
    staying = sum(one.size_bytes for one in residents if one.key not in leaving)
    assert fits == (staying + need <= budget)


@given(RESIDENTS, BYTES, BYTES)
def test_one_fewer_would_not_have_done(residents: list[Resident], need: int, budget: int):
    leaving, _ = choose(residents, need_bytes=need, budget_bytes=budget)
    staying = sum(one.size_bytes for one in residents if one.key not in leaving[:-1])
    assert not leaving or staying + need > budget


@given(RESIDENTS, BYTES, BYTES)
def test_nobody_who_could_have_left_was_used_longer_ago_than_one_that_leaves(
    residents: list[Resident], need: int, budget: int
):
    leaving, _ = choose(residents, need_bytes=need, budget_bytes=budget)
    used = [one.used_at for one in residents if one.key in leaving]
    could = [one.used_at for one in residents if one.key not in leaving and not one.kept]
    assert not used or all(at >= max(used) for at in could)
