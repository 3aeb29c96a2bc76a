"""What may still be needed is never removed, whatever else is so."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.control import Fate, Thing, decide, freed_bytes

DAY = 86_400.0
NOW = 1_000 * DAY
OLD = NOW - 40 * DAY
IMAGE = Thing("image", "images/environments", "k", used_at=OLD)
BASE = Thing("image", "images/bases", "b", below=frozenset({IMAGE.name}), used_at=OLD)

some = st.sampled_from(["", "a", "b"])
names = st.tuples(st.sampled_from(["images/environments", "environments"]), st.sampled_from("klmn"))


@st.composite
def things(draw: st.DrawFn) -> list[Thing]:
    """Things with names of their own; those below others stand on such as stand on nothing."""
    chosen = draw(st.lists(names, unique=True, max_size=8))
    tops = chosen[: draw(st.integers(0, len(chosen)))]
    above = st.frozensets(st.sampled_from([*tops, ("gone", "x")]), max_size=2)
    return [
        Thing(
            kind="image",
            repository=repository,
            tag=tag,
            used_by=tuple(filter(None, [draw(some)])),
            below=frozenset() if (repository, tag) in tops else draw(above),
            held_by=draw(st.frozensets(st.sampled_from(["e1", "e2"]), max_size=2)),
            used_at=draw(st.none() | st.floats(0, NOW + DAY)),
        )
        for repository, tag in chosen
    ]


@given(things(), st.floats(0, 100))
def test_what_is_used_held_young_or_of_unknown_age_stays(stock: list[Thing], days: float):
    for one in decide(stock, now=NOW, keep_seconds=days * DAY):
        thing = one.thing
        if one.fate is Fate.REMOVE:
            assert not thing.used_by
            assert not thing.held_by
            assert thing.used_at is not None
            assert max(0.0, NOW - thing.used_at) >= days * DAY  # a clock may have been set back


@given(things(), st.floats(0, 100))
def test_what_stands_below_something_that_stays_stays(stock: list[Thing], days: float):
    verdicts = decide(stock, now=NOW, keep_seconds=days * DAY)
    staying = {one.thing.name for one in verdicts if one.fate is not Fate.REMOVE and not one.thing.below}
    for one in verdicts:
        if one.thing.below & staying:
            assert one.fate is not Fate.REMOVE


@given(things(), st.floats(0, 100))
def test_everything_is_judged_once(stock: list[Thing], days: float):
    judged = [one.thing for one in decide(stock, now=NOW, keep_seconds=days * DAY)]
    assert sorted(judged, key=repr) == sorted(stock, key=repr)


@given(things(), st.floats(0, 100), st.floats(0, 100))
def test_to_keep_longer_never_removes_more(stock: list[Thing], one: float, other: float):
    def gone(days: float) -> set[tuple[str, str]]:
        verdicts = decide(stock, now=NOW, keep_seconds=days * DAY)
        return {each.thing.name for each in verdicts if each.fate is Fate.REMOVE}

    assert gone(max(one, other)) <= gone(min(one, other))


@pytest.mark.parametrize(
    ("changes", "fate", "why"),
    [
        ({}, Fate.REMOVE, "nothing refers to it, for 40 days"),
        ({"used_by": ("digits:3",)}, Fate.KEEP, "digits:3 use it"),
        ({"used_by": ("digits:3",), "used_at": None}, Fate.DATE, "digits:3 use it"),
        ({"used_at": None}, Fate.DATE, "nobody knows its age: it counts from now on"),
        ({"used_at": NOW - DAY}, Fate.KEEP, "it was used 1 days ago"),
        ({"used_at": NOW + DAY}, Fate.KEEP, "it was used 0 days ago"),
        ({"held_by": frozenset({"e1"})}, Fate.LET_GO, "another engine uses it: e1"),
        ({"held_by": frozenset({"e1"}), "used_at": NOW}, Fate.KEEP, "another engine uses it: e1"),
    ],
)
def test_every_fate_has_its_reason(changes: dict[str, object], fate: Fate, why: str):
    thing = attrs.evolve(IMAGE, **changes)  # type: ignore[arg-type]  # names are the table's
    (verdict,) = decide([thing], now=NOW, keep_seconds=30 * DAY)
    assert (verdict.fate, verdict.why) == (fate, why)


def test_a_base_goes_with_the_last_image_on_it():
    fates = {one.thing.tag: one.fate for one in decide([BASE, IMAGE], now=NOW, keep_seconds=30 * DAY)}
    assert fates == {"k": Fate.REMOVE, "b": Fate.REMOVE}
    used = attrs.evolve(IMAGE, used_by=("digits:3",))
    fates = {one.thing.tag: one.fate for one in decide([BASE, used], now=NOW, keep_seconds=30 * DAY)}
    assert fates == {"k": Fate.KEEP, "b": Fate.KEEP}


def test_only_blobs_that_nothing_else_has_are_freed():
    assert freed_bytes([{"base": 100, "env": 7}, {"base": 100, "env": 7}], [{"base": 100, "code": 1}]) == 7
