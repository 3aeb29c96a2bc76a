"""Meant differences in what becomes of results, and of a `run()` that gives none."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.tests.conformance.comparing import ABSENT
from runtime.tests.conformance.differences import Difference, Topic, differing, like
from runtime.tests.conformance.listed_inputs import RUN_RAISED, UNEXPECTED

_TIMED = "(milliseconds with 3 decimals)"
_UNWRITABLE = "run() returned a {} that JSON cannot carry: {}"


def _written(group: str, bodies: Mapping[str, str]) -> tuple[Difference, ...]:
    """Return the differences of results that v1 could not write, each with what we write."""
    written = (Difference(group, (case,), "body", ABSENT, body) for case, body in bodies.items())
    fields = {
        "keys of the error": ("message", ABSENT),
        "message": (UNEXPECTED, ABSENT),
        "status": ("500", "200"),
        "x-ms-run-fn-exec-ms": (ABSENT, _TIMED),
    }
    return (*written, *differing(group, tuple(bodies), fields))


def _refused(group: str, reasons: Mapping[str, tuple[str, str]]) -> tuple[Difference, ...]:
    """Return the differences of results that nobody can write, each with its type and what we say of it."""
    said = (
        Difference(group, (case,), "message", UNEXPECTED, _UNWRITABLE.format(*reason))
        for case, reason in reasons.items()
    )
    return (*said, *differing(group, tuple(reasons), {"x-ms-run-function-failed": ("False", "True")}))


TOPICS: tuple[Topic, ...] = (
    Topic(
        "NaN and infinity in answers",
        "bare `NaN` and `Infinity`, which is not JSON",
        "`null`",
        "Clients other than Python's cannot read v1's.",
        (
            *differing("results", ("returns 1e400",), {"body": ("Infinity", "null")}),
            *differing("results", ("returns float('nan')",), {"body": ("NaN", "null")}),
            *differing(
                "results",
                ("returns [float('inf'), -float('inf')]",),
                {"body": ("[Infinity, -Infinity]", "[null, null]")},
            ),
            *differing(
                "numpy",
                ("null for a number",),
                {"body": ('["ndarray", "float64", [1, 2], [NaN]]', '["ndarray", "float64", [1, 2], [null]]')},
            ),
            *differing(
                "numpy",
                ("a number too large",),
                {
                    "body": (
                        '["ndarray", "float64", [1, 2], [Infinity]]',
                        '["ndarray", "float64", [1, 2], [null]]',
                    )
                },
            ),
        ),
    ),
    Topic(
        "Results that v1 could not write",
        "500 for numpy, pandas, dates, decimals and UUIDs",
        "written as JSON",
        "They mean something in JSON.",
        (
            *_written(
                "results",
                {
                    "returns np.zeros(2)": "[0.0, 0.0]",
                    "returns np.float32(0.5)": "0.5",
                    "returns np.int64(7)": "7",
                    "returns np.bool_(True)": "true",
                    "returns [np.int64(7)]": "[7]",
                    "returns pd.DataFrame({'a': [1]})": '[{"a": 1}]',
                    "returns pd.Series([1])": "[1]",
                    "returns pd.Timestamp('2020-01-02')": '"2020-01-02T00:00:00"',
                    "returns datetime.datetime(2020, 1, 2, 3, 4, 5)": '"2020-01-02T03:04:05"',
                    "returns datetime.date(2020, 1, 2)": '"2020-01-02"',
                    "returns decimal.Decimal('1.10')": '"1.10"',
                    "returns uuid.UUID(int=7)": '"00000000-0000-0000-0000-000000000007"',
                },
            ),
            *_written("a decorated run that raises", {"an array for a result": "[3]"}),
        ),
    ),
    Topic(
        "Results that nobody can write",
        "500 with `x-ms-run-function-failed: False`",
        "500 with `True` and the type's name",
        "It was the script that failed.",
        (
            *_refused(
                "results",
                {
                    "returns b'bytes'": (
                        "bytes",
                        "bytes is not JSON serialisable; return text (base64, for example) instead",
                    ),
                    "returns {(1,): 2}": ("dict", "a tuple cannot be a key of a JSON object"),
                    "returns {1, 2}": ("set", "set is not JSON serialisable; return a list instead"),
                    "returns object()": ("object", "object is not JSON serialisable"),
                    "returns range(3)": ("range", "range is not JSON serialisable"),
                    "returns fractions.Fraction(1, 3)": ("Fraction", "Fraction is not JSON serialisable"),
                    "returns bytearray(b'x')": ("bytearray", "bytearray is not JSON serialisable"),
                    "a result that contains itself": ("list", "it is nested more than 254 levels deep"),
                    "a result as deep as nothing": ("list", "it is nested more than 254 levels deep"),
                },
            ),
            *_refused(
                "rawhttp", {"answers set": ("set", "set is not JSON serialisable; return a list instead")}
            ),
        ),
    ),
    Topic(
        "Too slow",
        "500",
        "504 `ScoringTimeout`; a `TimeoutError` that the script raises is a failed script",
        "A script that is late is not a script that failed.",
        (
            *differing(
                "results",
                ("a TimeoutError of its own",),
                {"message": ("Scoring timeout after 3600000 ms", RUN_RAISED)},
            ),
            *differing(
                "timeout",
                ("too slow",),
                {
                    "message": ("Scoring timeout after 500 ms", "the model did not answer in time"),
                    "status": ("500", "504"),
                },
            ),
        ),
    ),
    Topic(
        "`run()` calls `sys.exit`",
        "the worker dies; an HTML page",
        "500 `ScoringFailed`, as for any exception",
        "One request must not cost the others their worker: `strict-v1` sends the page, and the worker lives on.",
        differing(
            "exit",
            ("run calls sys.exit",),
            {
                "body": (like("<html>.*<h1><p>Internal Server Error</p></h1>.*</html>\n"), ABSENT),
                "content-type": ("text/html", "application/json"),
                "message": (ABSENT, RUN_RAISED),
                "keys of the error": (ABSENT, "code, message, request_id"),
                "x-ms-run-function-failed": (ABSENT, "True"),
            },
        ),
    ),
    Topic(
        "Answers in pieces",
        "carry `x-ms-run-fn-exec-ms`: the time until `run()` returned",
        "do not",
        "Most of the time is not known when the headers leave.",
        (
            *differing(
                "results",
                ("a flask response in pieces", "a flask response in pieces of a server error"),
                {"x-ms-run-fn-exec-ms": (_TIMED, ABSENT)},
            ),
            *differing(
                "streams",
                ("pieces of text", "pieces of bytes", "no pieces"),
                {"x-ms-run-fn-exec-ms": (_TIMED, ABSENT)},
            ),
        ),
    ),
)
