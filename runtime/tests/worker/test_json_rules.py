"""What results become and what requests may hold: the table of docs/reference/entry-scripts.md."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.worker.failures import BadInput, InputBroke, ResultUnusable
from modelyard_runtime.worker.json_text import (
    deeper_than,
    parse,
    parse_as_v1,
    write,
    write_as_v1,
    write_thoroughly,
)
from modelyard_runtime.worker.plain import MAX_DEPTH


@dataclasses.dataclass
class Point:
    x: int
    y: float


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


SAMPLES: list[tuple[Any, Any]] = [
    (None, {}),
    ([None], [None]),
    ("é \U0001f600", "é \U0001f600"),
    ((1, 2), [1, 2]),
    ({1: "a", None: "b", False: "c", 2.5: "d"}, {"1": "a", "null": "b", "false": "c", "2.5": "d"}),
    ([math.nan, math.inf, -math.inf], [None, None, None]),
    (2**70, 2**70),
    (Colour.RED, "red"),
    ([Level.HIGH], [3]),
    (Point(1, 2.5), {"x": 1, "y": 2.5}),
    (decimal.Decimal("1.10"), "1.10"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (dt.datetime(2026, 1, 2, 3, 4, 5, 6), "2026-01-02T03:04:05.000006"),  # noqa: DTZ001
    (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "2026-01-02T00:00:00+00:00"),
    (dt.date(2026, 1, 2), "2026-01-02"),
    (dt.timedelta(seconds=1.5), 1.5),
    (np.float32(0.1), float(np.float32(0.1))),
    (np.int8(-3), -3),
    (np.bool_(True), True),
    ({np.int64(3): np.arange(3)}, {"3": [0, 1, 2]}),
    (np.arange(4).reshape(2, 2).T, [[0, 2], [1, 3]]),
    (np.array([0.1, math.nan], dtype=np.float32), [float(np.float32(0.1)), None]),
    (np.array([1.5], dtype=">f8"), [1.5]),
    (np.array(7), 7),
    (np.zeros((2, 0)), [[], []]),
    (np.array(["a", "b"]), ["a", "b"]),
    (np.array([1, "a", None], dtype=object), [1, "a", None]),
    (np.array(["2026-01-02", "NaT"], dtype="datetime64[ns]"), ["2026-01-02T00:00:00", None]),
    (np.array([1500], dtype="timedelta64[ms]"), [1.5]),
    (pd.DataFrame({"a": [1, 2], "b": [0.5, math.nan]}), [{"a": 1, "b": 0.5}, {"a": 2, "b": None}]),
    (pd.Series([1, 2]), [1, 2]),
    ([pd.NA, pd.NaT, pd.Timestamp("2026-01-02")], [None, None, "2026-01-02T00:00:00"]),
]


@pytest.mark.parametrize(("value", "expected"), SAMPLES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("writer", [write, write_thoroughly])
def test_a_result_is_written_by_the_table(value: Any, expected: Any, writer: Any):
    assert json.loads(writer(value)) == expected


@pytest.mark.parametrize("value", [{1, 2}, b"x", object(), np.array([1j]), np.array([b"x"]), {(1,): 2}])
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_json_has_no_word_for_is_unusable_and_says_where(value: Any, wrapped: bool):  # noqa: FBT001
    with pytest.raises(ResultUnusable) as caught:
        write({"rows": [value]} if wrapped else value)
    assert not wrapped or "rows[0]" in str(caught.value)


def test_a_set_comes_with_advice():
    with pytest.raises(ResultUnusable, match="return a list instead"):
        write({1})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text()
    | st.dates()
    | st.decimals(allow_nan=False)
    | st.uuids(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_the_quick_writer_writes_the_same_documents(value: Any):
    assert json.loads(write(value)) == json.loads(write_thoroughly(value))


@given(JSON)
def test_what_is_written_can_be_read_by_our_own_rules(value: Any):
    parse(write(value))


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("writer", [write, write_thoroughly])
def test_results_may_nest_up_to_the_limit_and_not_beyond(writer: Any):
    assert json.loads(writer(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, 5000):
        with pytest.raises(ResultUnusable):
            writer(nested(depth))


@pytest.mark.parametrize("writer", [write, write_thoroughly, write_as_v1])
def test_a_result_that_holds_itself_is_unusable(writer: Any):
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(ResultUnusable):
        writer(ring)


@pytest.mark.parametrize("writer", [write, write_thoroughly])
def test_half_a_surrogate_pair_in_a_result_is_written_as_its_escape(writer: Any):
    assert writer(["\ud800"]) == b'["\\ud800"]'


def test_strict_v1_writes_the_bytes_of_v1():
    assert write_as_v1({"é": [1, math.nan], "s": "\ud800"}) == b'{"\\u00e9": [1, NaN], "s": "\\ud800"}'
    with pytest.raises(ResultUnusable):
        write_as_v1(np.arange(3))


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b'["\\ud800"]', ["\ud800"]), (b"[" * 300 + b"]" * 300, json.loads("[" * 300 + "]" * 300))],
)
def test_strict_v1_reads_what_python_reads(body: bytes, expected: Any):
    assert parse_as_v1(body) == expected


@pytest.mark.parametrize("body", [b'"\xff"', b"9" * 5000, b"[" * 100_000])
def test_strict_v1_breaks_where_v1_broke(body: bytes):
    with pytest.raises(InputBroke):
        parse_as_v1(body)


def test_strict_v1_says_what_is_no_json_as_v1_did():
    with pytest.raises(BadInput, match="Expecting property name enclosed in double quotes: line 1"):
        parse_as_v1(b"{")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b'"\xff"', "UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested"),
        (b"[" * 200_000, "nested"),
        (b'{"a":' * 200_000, "nested"),
        (b"9" * 5000, "digits"),
        (b"[1] x", "Extra data"),
    ],
)
def test_a_malformed_document_is_bad_input_and_says_why(body: bytes, says: str):
    with pytest.raises(BadInput, match=says):
        parse(body)


def test_half_a_surrogate_pair_in_a_request_is_refused_with_its_place():
    with pytest.raises(BadInput) as caught:
        parse(b'{"rows": [{"name": "\\ud800"}]}')
    assert caught.value.place == "rows[0].name"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"1e999", math.inf),
        ('{"a": 1}'.encode("utf-16"), {"a": 1}),
        (b'"[[[[ \\" {{{"', '[[[[ " {{{'),
    ],
)
def test_what_is_well_formed_is_read(body: bytes, value: Any):
    assert parse(body) == value


@given(st.binary())
def test_random_bytes_are_a_document_or_bad_input(body: bytes):
    try:
        parse(body)
    except BadInput as failure:
        assert str(failure)  # noqa: PT017


@given(
    st.recursive(
        st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner), max_leaves=8
    )
)
def test_depth_is_counted_exactly(value: Any):
    def depth(value: Any) -> int:
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if items is None else 1 + max(map(depth, items), default=0)

    body = json.dumps(value).encode()
    found = depth(value)
    assert not deeper_than(found, body)
    assert found == 0 or deeper_than(found - 1, body)
