"""The judge of the comparison: nothing unlisted passes, nothing listed outlives its cause."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.tests.conformance.comparing import Answer, Unequal, differing, fields
from runtime.tests.conformance.differences import ANY, DEFAULT, EVERYWHERE, STRICT, Difference, judge

WORDS = st.sampled_from(["a", "b", "c"])
FOUND = st.lists(st.builds(Unequal, WORDS, WORDS, WORDS, WORDS), unique=True)
MODES = st.sets(st.sampled_from([DEFAULT, STRICT]), min_size=1).map(tuple)
LISTED = st.builds(
    Difference,
    st.sampled_from(["g", "h", EVERYWHERE]),
    st.one_of(st.just((EVERYWHERE,)), st.lists(WORDS, min_size=1, unique=True).map(tuple)),
    WORDS,
    st.one_of(st.just(ANY), WORDS),
    st.one_of(st.just(ANY), WORDS),
    MODES,
)


@given(FOUND)
def test_without_a_list_everything_found_is_unlisted(found: list[Unequal]):
    assert judge("g", DEFAULT, found, ()).unlisted == tuple(found)


@given(FOUND)
def test_a_list_of_exactly_what_was_found_leaves_nothing(found: list[Unequal]):
    listed = [Difference("g", (one.case,), one.field, one.theirs, one.ours) for one in found]
    assert judge("g", DEFAULT, found, listed) == ((), ())


@given(FOUND, st.lists(LISTED))
def test_what_is_listed_by_name_and_not_found_is_stale(found: list[Unequal], listed: list[Difference]):
    stale = judge("g", DEFAULT, found, listed).stale
    for entry, case in stale:
        assert entry.group == "g"
        assert not any(
            one.field == entry.field
            and one.theirs == entry.theirs
            and one.ours == entry.ours
            and one.case == case
            for one in found
        )
    for entry in listed:
        if entry.group == "g" and DEFAULT in entry.modes and not found:
            assert {case for found_entry, case in stale if found_entry == entry} == set(entry.cases)


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
