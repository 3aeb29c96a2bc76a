from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.containers.following import _nanoseconds, _split
from modelyard.containers.values import inspected_of, unix_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T00:00:01.500000001Z", 1.5),
        ("1970-01-01T01:00:01.25+01:00", 1.25),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
        ("never", 0.0),
    ],
)
def test_dockers_times_are_read(text: str, seconds: float):
    assert unix_seconds(text) == seconds


FIRST, LAST = (dt.datetime.fromisoformat(one) for one in ("1970-01-02", "2200-01-01"))


@given(moment=st.datetimes(FIRST, LAST), nanoseconds=st.integers(0, 999))
def test_a_log_lines_moment_keeps_its_nanoseconds(moment: dt.datetime, nanoseconds: int):
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{nanoseconds:03d}Z"
    whole = int(moment.replace(tzinfo=dt.UTC, microsecond=0).timestamp())
    assert _nanoseconds(stamp) == whole * 10**9 + moment.microsecond * 1000 + nanoseconds
    assert _split(f"{stamp} a line\n".encode()) == (_nanoseconds(stamp), b"a line\n")


def test_a_container_that_says_nothing_of_itself_is_read_as_one_that_never_ran():
    found = inspected_of({})
    assert (found.pid, found.restarts, found.exit_code, found.started_at) == (None, 0, 0, 0.0)
