"""Which versions an advisory is about: ranges, single versions, and what cannot be told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.environments.advisories.entries import read_advisory
from modelyard.environments.advisories.matching import Matches, Verdict, judge, match
from packaging.version import Version

from engine.tests.environments.advisories.making import ENTRIES, pin

ADVISORIES = {entry["id"]: read_advisory(json.dumps(entry).encode()) for entry in ENTRIES}
A, U, D = Verdict.AFFECTED, Verdict.UNAFFECTED, Verdict.UNDECIDED


def known(name: str, version: str) -> Matches:
    return match([pin(name, version)], list(ADVISORIES.values()))


@pytest.mark.parametrize(
    ("number", "name", "version", "verdict"),
    [
        ("TEST-2026-01", "alpha", "0.dev0", A),
        ("TEST-2026-01", "alpha", "1.3.9", A),
        ("TEST-2026-01", "alpha", "1.4rc1", A),
        ("TEST-2026-01", "alpha", "1.4", U),
        ("TEST-2026-01", "alpha", "1.4.post1", U),
        ("TEST-2026-01", "alpha", "2.0", A),
        ("TEST-2026-01", "alpha", "2.0.2+cpu", A),
        ("TEST-2026-01", "alpha", "2.0.3", U),
        ("TEST-2026-02", "alpha", "1.0.0", A),
        ("TEST-2026-02", "alpha", "1.2", U),
        ("TEST-2026-04", "beta-two", "1.0b1", U),
        ("TEST-2026-04", "beta-two", "1.0rc1", A),
        ("TEST-2026-04", "beta-two", "3.1.0", A),
        ("TEST-2026-04", "beta-two", "3.1+local.7", A),
        ("TEST-2026-04", "beta-two", "3.1.1", U),
        ("TEST-2026-05", "gamma", "1.0", A),
        ("TEST-2026-05", "gamma", "2004d", A),
        ("TEST-2026-05", "gamma", "2004e", D),
        ("TEST-2026-05", "gamma", "1.1", U),
        ("TEST-2026-06", "delta", "1.0", D),
        ("TEST-2026-08", "epsilon", "1.5", A),
        ("TEST-2026-08", "epsilon", "2.0", U),
        ("TEST-2026-08", "epsilon", "6.0", A),
        ("MAL-2026-09", "zeta", "0.0.1", A),
        ("MAL-2026-09", "zeta", "", D),
        ("TEST-2026-10", "eta", "2020.1", A),
        ("TEST-2026-10", "eta", "1!1.0", U),
        ("TEST-2026-10", "theta", "7.0", A),
        ("TEST-2026-10", "other", "7.0", U),
        ("TEST-2026-07", "alpha", "1.0", U),
    ],
)
def test_a_version_is_judged_as_the_schema_says(number: str, name: str, version: str, verdict: Verdict):
    assert judge(pin(name, version), ADVISORIES[number]) is verdict


def test_one_flaw_that_two_databases_know_is_found_once_with_all_its_names():
    (flaw,) = known("alpha", "1.1").found
    assert flaw.ids == ("TEST-2026-01", "TEST-2026-02", "CVE-2026-0001")
    assert flaw.summary == "A ranged flaw of alpha"
    assert flaw.severities == ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",)
    assert flaw.rating == "CRITICAL"
    assert flaw.fixed == ("1.4", "2.0.3")


def test_two_flaws_of_one_package_are_two():
    advisories = [
        ADVISORIES["TEST-2026-01"],
        read_advisory(json.dumps(ENTRIES[0] | {"id": "X", "aliases": []}).encode()),
    ]
    assert [one.ids[0] for one in match([pin("alpha", "1.0")], advisories).found] == ["TEST-2026-01", "X"]


def test_names_that_are_joined_by_a_third_database_are_one_flaw():
    entries = [
        ENTRIES[0] | {"id": "A-1", "aliases": ["CVE-1"]},
        ENTRIES[0] | {"id": "B-1", "aliases": ["CVE-2"]},
        ENTRIES[0] | {"id": "C-1", "aliases": ["CVE-1", "CVE-2"]},
    ]
    advisories = [read_advisory(json.dumps(one).encode()) for one in entries]
    (flaw,) = match([pin("alpha", "1.0")], advisories).found
    assert set(flaw.ids) == {"A-1", "B-1", "C-1", "CVE-1", "CVE-2"}


def test_what_was_withdrawn_is_not_found():
    assert known("alpha", "1.9").found == ()


def test_what_cannot_be_compared_is_named_and_not_taken_for_safe():
    assert known("delta", "1.0") == Matches(undecided=("delta 1.0: TEST-2026-06",))
    assert known("zeta", "").undecided == ("zeta of no known version: MAL-2026-09",)


def test_a_rating_of_the_package_counts_where_the_entry_has_none():
    (flaw,) = known("beta-two", "2.0").found
    assert (flaw.rating, flaw.summary, flaw.fixed) == ("LOW", "A flaw up to and with a version", ())


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"1",
        b"{}",
        b'{"id": "x"}',
        b'{"id": "x", "modified": 1}',
        b'{"id": "x", "modified": "soon"}',
        b'{"id": "x", "modified": "2026-01-01T00:00:00Z", "affected": [1]}',
        b'{"id": "x", "modified": "2026-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "PyPI"}}]}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_entry_is_a_value_error(content: bytes):
    with pytest.raises(ValueError):  # noqa: PT011  any words will do
        read_advisory(content)


def test_words_of_a_database_are_fit_for_a_terminal():
    entry = ENTRIES[0] | {"summary": "red \x1b[31m\n alert " + "x" * 5000}
    found = read_advisory(json.dumps(entry).encode())
    assert found.summary.startswith("red [31m alert x")
    assert len(found.summary) <= 200


VERSIONS = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(lambda parts: f"{parts[0]}.{parts[1]}")


@given(VERSIONS, VERSIONS, VERSIONS)
def test_a_range_has_what_lies_from_its_beginning_to_before_its_end(version: str, first: str, fixed: str):
    events = [{"fixed": fixed}, {"introduced": first}]
    affected = [
        {
            "package": {"ecosystem": "PyPI", "name": "alpha"},
            "ranges": [{"type": "ECOSYSTEM", "events": events}],
        }
    ]
    advisory = read_advisory(json.dumps(ENTRIES[0] | {"affected": affected}).encode())
    after = Version(version) >= Version(first)
    before = Version(version) < Version(fixed) or Version(fixed) < Version(first)
    assert (judge(pin("alpha", version), advisory) is A) == (after and before)
