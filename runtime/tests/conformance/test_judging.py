"""The judge of the comparison: nothing unlisted passes, nothing listed outlives its cause."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.tests.conformance.comparing import Answer, Unequal, differing, fields
from runtime.tests.conformance.differences import Difference, Everywhere, judge, like

WORDS = st.sampled_from(["a", "b", "c"])
VALUES = st.one_of(WORDS, st.sampled_from(["a|b", "[bc]"]).map(like))
FOUND = st.lists(st.builds(Unequal, WORDS, WORDS, WORDS, WORDS), unique=True)
CASES = st.lists(WORDS, min_size=1, unique=True).map(tuple)
NAMED = st.builds(Difference, st.sampled_from(["g", "h"]), CASES, WORDS, VALUES, VALUES)
ANYWHERE = st.builds(Everywhere, WORDS, VALUES, VALUES, st.tuples(st.sampled_from(["g", "h"]), WORDS))


@given(FOUND)
def test_without_a_list_everything_found_is_unlisted(found: list[Unequal]):
    assert judge("g", found, ()).unlisted == tuple(found)


@given(FOUND)
def test_a_list_of_exactly_what_was_found_leaves_nothing(found: list[Unequal]):
    listed = [Difference("g", (one.case,), one.field, one.theirs, one.ours) for one in found]
    assert judge("g", found, listed) == ((), ())


@given(FOUND, st.lists(NAMED))
def test_each_case_that_is_listed_by_name_and_shows_nothing_is_stale(
    found: list[Unequal], listed: list[Difference]
):
    shown = {(entry, one.case) for entry in listed for one in found if entry.covers("g", one)}
    named = {(entry, case) for entry in listed if entry.group == "g" for case in entry.cases}
    assert set(judge("g", found, listed).stale) == named - shown


@given(FOUND, ANYWHERE)
def test_what_is_listed_for_everywhere_is_stale_where_its_one_case_does_not_show_it(
    found: list[Unequal], entry: Everywhere
):
    group, case = entry.shown_by
    shown = any(entry.covers("g", one) for one in found if one.case == case)
    stale = judge("g", found, [entry]).stale
    assert stale == (((entry, case),) if group == "g" and not shown else ())


def test_a_pattern_describes_a_whole_value_of_several_lines():
    entry = Difference("g", ("a",), "body", like("<p>.*</p>"), "x")
    assert entry.covers("g", Unequal("a", "body", "<p>\n</p>", "x"))
    assert not entry.covers("g", Unequal("a", "body", "<p>\n</p> and more", "x"))


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> Answer:
    named = {"content_type": "application/json", **headers}
    return Answer(status, tuple((name.replace("_", "-"), value) for name, value in named.items()), body)


def test_equal_json_in_another_spelling_is_equal():
    assert not list(
        differing("c", fields(answer(body=b'{"a":1,"b":2}')), fields(answer(body=b'{ "b": 2, "a": 1}')))
    )


def test_null_and_nan_are_told_apart():
    (found,) = differing("c", fields(answer(body=b"NaN")), fields(answer(body=b"null")))
    assert (found.field, found.theirs, found.ours) == ("body", "NaN", "null")


def test_a_new_id_equals_another_new_id_but_no_given_one():
    new, other = "0" * 8 + "-0000-0000-0000-" + "0" * 12, "1" * 8 + "-0000-0000-0000-" + "0" * 12
    assert fields(answer(x_request_id=new)) == fields(answer(x_request_id=other))
    assert fields(answer(x_request_id=new)) != fields(answer(x_request_id="A"))
    assert fields(answer(x_request_id=new, x_ms_request_id=other)) != fields(
        answer(x_request_id=new, x_ms_request_id=new)
    )


def test_the_message_and_the_keys_of_an_error_are_compared_apart():
    theirs, ours = answer(400, b'{"message": "m"}'), answer(400, b'{"message": "m", "code": "C"}')
    assert [one.field for one in differing("c", fields(theirs), fields(ours))] == ["keys of the error"]
