"""Meant differences in what becomes of a request: schemas, JSON, forms, raw requests."""

from __future__ import annotations

import re
from collections.abc import Mapping

from runtime.tests.conformance.comparing import ABSENT
from runtime.tests.conformance.differences import Difference, Topic, differing, like
from runtime.tests.conformance.listed_services import NO_SUCH_PATH

RUN_RAISED = "An unexpected error occurred in scoring script. Check the logs for more info."
UNEXPECTED = "An unexpected internal error occurred. Check the logs for more info."
_NO_JSON = "POST body could not be decoded as JSON: "
_MISFIT = "' does not fit the schema of this model: "
_IS_400 = {"status": ("500", "400"), "x-ms-run-function-failed": ("True", "False")}
_DEEP = "the JSON is nested more than 254 levels deep"


def _misfits(group: str, places: Mapping[str, str]) -> tuple[Difference, ...]:
    """Return the differences of cases, each with the place of the value that does not fit."""
    messages = (
        Difference(group, (case,), "message", RUN_RAISED, like(re.escape(f"'{place}{_MISFIT}") + ".+"))
        for case, place in places.items()
    )
    return (*messages, *differing(group, tuple(places), _IS_400))


TOPICS: tuple[Topic, ...] = (
    Topic(
        "Input that does not fit the schema",
        "500, as if the script had failed",
        "400 with the place of the value",
        "The client can mend it, the operator cannot.",
        (
            *_misfits(
                "numpy",
                {
                    "no rows": "data",
                    "a row too wide": "data[0]",
                    "rows of two widths": "data[1]",
                    "a dimension too few": "data[0]",
                    "text for numbers": "data[0][0]",
                    "null for the array": "data",
                    "an object for the array": "data",
                    "a scalar for the array": "data",
                    "an integer too large": "data[0][0]",
                },
            ),
            *_misfits(
                "pandas",
                {
                    "a column too many": "data[0].d",
                    "a column missing": "data[0].c",
                    "text in a number's column": "data[0].a",
                    "a null in a number's column": "data[0].a",
                    "no rows": "data",
                    "a list of scalars": "data[0]",
                    "a scalar": "data",
                    "the split form": "data",
                },
            ),
            *_misfits("pandas split", {"records for the split form": "data"}),
            *_misfits(
                "standard types",
                {
                    "a float for an integer": "count",
                    "a number for text": "text",
                    "text for a flag": "flag",
                    "an object for a list": "items",
                    "a list for an object": "tree",
                    "null for text": "text",
                },
            ),
            *_misfits(
                "nested types",
                {
                    "a wrong width inside": "data.numbers[0]",
                    "a wrong type inside": "data.plain",
                    "a list for the whole": "data",
                },
            ),
        ),
    ),
    Topic(
        "JSON that is none",
        "500 for broken UTF-8, depth and huge integers; NaN and Infinity are taken",
        "400 that says why; in a query it is text like any other",
        "It is the client's fault, and no other reader would take it.",
        (
            *differing(
                "numpy",
                ("a body that is not UTF-8",),
                {"message": (UNEXPECTED, like(f"{_NO_JSON}Input cannot be decoded as UTF-8: .+"))},
            ),
            *differing(
                "numpy",
                ("an integer of 5000 digits",),
                {"message": (UNEXPECTED, like(_NO_JSON + "Exceeds the limit .+"))},
            ),
            *differing(
                "numpy",
                ("a thousand brackets", "a hundred thousand brackets"),
                {"message": (UNEXPECTED, _NO_JSON + _DEEP)},
            ),
            *differing(
                "numpy",
                (
                    "a body that is not UTF-8",
                    "an integer of 5000 digits",
                    "a thousand brackets",
                    "a hundred thousand brackets",
                    "GET with a thousand brackets",
                ),
                {"status": ("500", "400")},
            ),
            *differing(
                "numpy",
                ("three hundred brackets",),
                {"message": (RUN_RAISED, _NO_JSON + _DEEP), **_IS_400},
            ),
            *differing(
                "numpy",
                ("a lone surrogate",),
                {"message": (RUN_RAISED, _NO_JSON + "a text holds half of a surrogate pair"), **_IS_400},
            ),
            *differing(
                "numpy",
                ("GET with a thousand brackets",),
                {"message": (UNEXPECTED, like(f"'data{_MISFIT}.+"))},
            ),
            *differing(
                "text",
                ("a query of a thousand brackets",),
                {
                    "message": (UNEXPECTED, ABSENT),
                    "keys of the error": ("message", ABSENT),
                    "status": ("500", "200"),
                    "body": (ABSENT, like(r'\["str", "\{\\"a\\": \\"\[{1000}\]{1000}\\"\}"\]')),
                    "x-ms-run-fn-exec-ms": (ABSENT, "(milliseconds with 3 decimals)"),
                },
            ),
            *differing(
                "numpy",
                ("NaN", "infinity", "GET with NaN"),
                {
                    "status": ("200", "400"),
                    "x-ms-run-fn-exec-ms": ("(milliseconds with 3 decimals)", ABSENT),
                },
            ),
            *differing(
                "numpy", ("NaN", "infinity"), {"keys of the error": (ABSENT, "code, message, request_id")}
            ),
            *differing(
                "numpy",
                ("GET with NaN",),
                {
                    "keys of the error": (ABSENT, "code, message, path, request_id"),
                    "message": (ABSENT, like(f"'data{_MISFIT}.+")),
                },
            ),
            *differing(
                "numpy", ("NaN", "GET with NaN"), {"body": ('["ndarray", "float64", [1, 2], [NaN]]', ABSENT)}
            ),
            *differing(
                "numpy", ("infinity",), {"body": ('["ndarray", "float64", [1, 2], [Infinity]]', ABSENT)}
            ),
            *differing("numpy", ("NaN",), {"message": (ABSENT, _NO_JSON + "NaN is not JSON")}),
            *differing("numpy", ("infinity",), {"message": (ABSENT, _NO_JSON + "Infinity is not JSON")}),
        ),
    ),
    Topic(
        "Forms for a script that reads text",
        '`run("")`: the framework eats the body',
        "`run()` gets the text",
        "The body is what was sent.",
        (
            *differing(
                "text",
                ("another content type", "a form of another spelling"),
                {"body": ('["str", ""]', '["str", "a=1"]')},
            ),
            *differing(
                "text", ("a form in parts",), {"body": ('["str", ""]', like(r'\["str", "--XX.+hello.+"\]'))}
            ),
        ),
    ),
    Topic(
        "Flask's refusals in a raw script",
        "500, as for any exception: `request.get_json()` of no JSON, `flask.abort(404)`",
        "400 or 415 in Flask's words",
        "What Flask refuses is the request.",
        (
            *differing("rawhttp", ("answers abort",), {"message": (RUN_RAISED, NO_SUCH_PATH), **_IS_400}),
            *differing(
                "rawhttp",
                ("answers parsed of malformed JSON",),
                {
                    "message": (
                        RUN_RAISED,
                        "The browser (or proxy) sent a request that this server could not understand.",
                    ),
                    **_IS_400,
                },
            ),
            *differing(
                "rawhttp",
                ("answers parsed of text",),
                {
                    "message": (RUN_RAISED, like("Did not attempt to load JSON data .+")),
                    **_IS_400,
                    "status": ("500", "415"),
                },
            ),
        ),
    ),
    Topic(
        "The class of a raw request",
        "`AMLRequest` is a class of its package, of which no request is; a script gets Flask's stand-in for the"
        " request",
        "`AMLRequest` is Flask's `Request` itself, and so is what a script gets",
        "`isinstance` with either holds.",
        differing("rawhttp", ("answers class",), {"body": ('"Generic"', like('true|"Request"'))}),
    ),
)
