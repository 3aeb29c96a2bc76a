"""Every difference from v1 that we mean; docs/reference/differences-from-v1.md shows this table."""

from __future__ import annotations

from runtime.tests.conformance.comparing import ABSENT
from runtime.tests.conformance.differences import (
    ANY,
    DEFAULT,
    EVERYWHERE,
    STRICT,
    Difference,
    Topic,
    differing,
)

BOTH = (DEFAULT, STRICT)

TOPICS: tuple[Topic, ...] = (
    Topic(
        "The server's name",
        "names itself in `x-ms-server-version`",
        "no such header",
        "What serves is nobody's business but yours.",
        (*differing(EVERYWHERE, (EVERYWHERE,), {"x-ms-server-version": (ANY, ABSENT)}, BOTH),),
    ),
    Topic(
        "One error body",
        'an error is `{"message"}`, plain text or an HTML page',
        '`{"code", "message", "request_id"}`, with `path` where a value is at fault',
        "One shape to read, whoever refused; `message` stays.",
        (*differing(EVERYWHERE, (EVERYWHERE,), {"keys of the error": ("message", ANY)}),),
    ),
    Topic(
        "Request ids on every answer",
        "none on answers of wrong paths, wrong methods and ids that are too long",
        "always",
        "An error is what one wants to find in the logs.",
        (
            *differing(
                EVERYWHERE,
                (EVERYWHERE,),
                {
                    "x-request-id": (ABSENT, ANY),
                    "x-ms-request-id": (ABSENT, ANY),
                    "x-ms-client-request-id": (ABSENT, ANY),
                },
                BOTH,
            ),
        ),
    ),
    Topic(
        "Input that does not fit the schema",
        "500, as if the script had failed",
        "400 with the place of the value",
        "The client can mend it, the operator cannot.",
        (
            *differing(
                "numpy",
                (
                    "no rows",
                    "a row too wide",
                    "rows of two widths",
                    "a dimension too few",
                    "text for numbers",
                    "null for the array",
                    "an object for the array",
                    "a scalar for the array",
                    "an integer too large",
                ),
                {
                    "message": (ANY, ANY),
                    "status": ("500", "400"),
                    "x-ms-run-function-failed": ("True", "False"),
                },
            ),
            *differing(
                "pandas",
                (
                    "a column too many",
                    "a column missing",
                    "text in a number's column",
                    "a null in a number's column",
                    "no rows",
                    "a list of scalars",
                    "a scalar",
                    "the split form",
                ),
                {
                    "message": (ANY, ANY),
                    "status": ("500", "400"),
                    "x-ms-run-function-failed": ("True", "False"),
                },
            ),
            *differing(
                "pandas split",
                ("records for the split form",),
                {
                    "message": (ANY, ANY),
                    "status": ("500", "400"),
                    "x-ms-run-function-failed": ("True", "False"),
                },
            ),
            *differing(
                "standard types",
                (
                    "a float for an integer",
                    "a number for text",
                    "text for a flag",
                    "an object for a list",
                    "a list for an object",
                    "null for text",
                ),
                {
                    "message": (ANY, ANY),
                    "status": ("500", "400"),
                    "x-ms-run-function-failed": ("True", "False"),
                },
            ),
            *differing(
                "nested types",
                ("a wrong width inside", "a wrong type inside", "a list for the whole"),
                {
                    "message": (ANY, ANY),
                    "status": ("500", "400"),
                    "x-ms-run-function-failed": ("True", "False"),
                },
            ),
        ),
    ),
    Topic(
        "JSON that is none",
        "500 for broken UTF-8, depth and huge integers; NaN and Infinity are taken",
        "400 that says why",
        "It is the client's fault, and no other reader would take it. `strict-v1` takes NaN and Infinity; what made v1 fail stays a 400.",
        (
            *differing(
                "numpy",
                (
                    "a body that is not UTF-8",
                    "an integer of 5000 digits",
                    "a thousand brackets",
                    "a hundred thousand brackets",
                ),
                {"message": (ANY, ANY), "status": ("500", "400")},
                BOTH,
            ),
            *differing("numpy", ("NaN",), {"body": ('["ndarray", "float64", [1, 2], [NaN]]', ABSENT)}),
            *differing(
                "numpy",
                ("NaN", "infinity"),
                {
                    "status": ("200", "400"),
                    "x-ms-run-fn-exec-ms": ("(milliseconds with 3 decimals)", ABSENT),
                    "message": (ABSENT, ANY),
                    "keys of the error": (ABSENT, "code, message, request_id"),
                },
            ),
            *differing("numpy", ("infinity",), {"body": (ANY, ABSENT)}),
            *differing(
                "numpy",
                ("a lone surrogate",),
                {
                    "message": (ANY, ANY),
                    "status": ("500", "400"),
                    "x-ms-run-function-failed": ("True", "False"),
                },
            ),
        ),
    ),
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
                "numpy", ("a number too large",), {"body": (ANY, '["ndarray", "float64", [1, 2], [null]]')}
            ),
        ),
    ),
    Topic(
        "Results that v1 could not write",
        "500 for numpy, pandas, dates, decimals and UUIDs",
        "written as JSON",
        "They mean something in JSON.",
        (
            *differing(
                "results",
                (
                    "returns np.zeros(2)",
                    "returns np.float32(0.5)",
                    "returns np.int64(7)",
                    "returns np.bool_(True)",
                    "returns [np.int64(7)]",
                    "returns pd.DataFrame({'a': [1]})",
                    "returns pd.Series([1])",
                    "returns pd.Timestamp('2020-01-02')",
                    "returns datetime.datetime(2020, 1, 2, 3, 4, 5)",
                    "returns datetime.date(2020, 1, 2)",
                    "returns decimal.Decimal('1.10')",
                    "returns uuid.UUID(int=7)",
                ),
                {
                    "keys of the error": ("message", ABSENT),
                    "message": (ANY, ABSENT),
                    "status": ("500", "200"),
                    "x-ms-run-fn-exec-ms": (ABSENT, "(milliseconds with 3 decimals)"),
                },
            ),
            *differing("results", ("returns np.zeros(2)",), {"body": (ABSENT, "[0.0, 0.0]")}),
            *differing("results", ("returns np.float32(0.5)",), {"body": (ABSENT, "0.5")}),
            *differing("results", ("returns np.int64(7)",), {"body": (ABSENT, "7")}),
            *differing("results", ("returns np.bool_(True)",), {"body": (ABSENT, "true")}),
            *differing("results", ("returns [np.int64(7)]",), {"body": (ABSENT, "[7]")}),
            *differing("results", ("returns pd.DataFrame({'a': [1]})",), {"body": (ABSENT, '[{"a": 1}]')}),
            *differing("results", ("returns pd.Series([1])",), {"body": (ABSENT, "[1]")}),
            *differing(
                "results",
                ("returns pd.Timestamp('2020-01-02')",),
                {"body": (ABSENT, '"2020-01-02T00:00:00"')},
            ),
            *differing(
                "results",
                ("returns datetime.datetime(2020, 1, 2, 3, 4, 5)",),
                {"body": (ABSENT, '"2020-01-02T03:04:05"')},
            ),
            *differing("results", ("returns datetime.date(2020, 1, 2)",), {"body": (ABSENT, '"2020-01-02"')}),
            *differing("results", ("returns decimal.Decimal('1.10')",), {"body": (ABSENT, '"1.10"')}),
            *differing(
                "results",
                ("returns uuid.UUID(int=7)",),
                {"body": (ABSENT, '"00000000-0000-0000-0000-000000000007"')},
            ),
            *differing(
                "a decorated run that raises",
                ("an array for a result",),
                {
                    "keys of the error": ("message", ABSENT),
                    "message": (ANY, ABSENT),
                    "status": ("500", "200"),
                    "body": (ABSENT, "[3]"),
                    "x-ms-run-fn-exec-ms": (ABSENT, "(milliseconds with 3 decimals)"),
                },
            ),
        ),
    ),
    Topic(
        "Results that nobody can write",
        "500 with `x-ms-run-function-failed: False`",
        "500 with `True` and the type's name",
        "It was the script that failed.",
        (
            *differing(
                "results",
                (
                    "returns b'bytes'",
                    "returns {(1,): 2}",
                    "returns {1, 2}",
                    "returns object()",
                    "returns range(3)",
                    "returns fractions.Fraction(1, 3)",
                    "returns bytearray(b'x')",
                    "a result that contains itself",
                    "a result as deep as nothing",
                ),
                {"message": (ANY, ANY), "x-ms-run-function-failed": ("False", "True")},
            ),
            *differing(
                "rawhttp",
                ("answers set",),
                {"message": (ANY, ANY), "x-ms-run-function-failed": ("False", "True")},
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
                {"message": ("Scoring timeout after 3600000 ms", ANY)},
                BOTH,
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
        "One request must not cost the others their worker. Nobody depends on the page.",
        (
            *differing(
                "exit",
                ("run calls sys.exit",),
                {
                    "body": (ANY, ABSENT),
                    "content-type": ("text/html", "application/json"),
                    "message": (ABSENT, ANY),
                    "x-ms-run-function-failed": (ABSENT, "True"),
                    "x-request-id": (ABSENT, "(a new id)"),
                    "x-ms-request-id": (ABSENT, "(as x-request-id)"),
                },
                BOTH,
            ),
            *differing(
                "exit", ("run calls sys.exit",), {"keys of the error": (ABSENT, "code, message, request_id")}
            ),
            *differing(
                "exit", ("run calls sys.exit",), {"keys of the error": (ABSENT, "message")}, (STRICT,)
            ),
        ),
    ),
    Topic(
        "Browsers",
        "no CORS headers on errors; answers to `/swagger.json` preflights in full; a listed origin named to callers that sent none",
        "CORS headers on errors too; a preflight may be kept for ten minutes; only callers that send an origin are told one",
        "A page must be able to read why it was refused.",
        (
            *differing(
                "cors",
                ("POST /score from nobody",),
                {"access-control-allow-origin": ("https://a.example", ABSENT), "vary": ("Origin", ABSENT)},
                BOTH,
            ),
            *differing(
                "cors",
                ("GET /nope from https://a.example", "PUT /score from https://a.example"),
                {"vary": (ABSENT, "Origin"), "access-control-allow-origin": (ABSENT, "https://a.example")},
                BOTH,
            ),
            *differing(
                "cors",
                ("OPTIONS /score from https://a.example as preflight",),
                {"access-control-max-age": (ABSENT, "600")},
                BOTH,
            ),
            *differing(
                "cors",
                ("OPTIONS /swagger.json from https://a.example as preflight",),
                {
                    "access-control-allow-headers": ("authorization, content-type", ABSENT),
                    "access-control-allow-methods": ("GET, POST", ABSENT),
                },
                BOTH,
            ),
            *differing(
                "cors for everybody", ("a preflight",), {"access-control-max-age": (ABSENT, "600")}, BOTH
            ),
        ),
    ),
    Topic(
        "Answers in pieces",
        "carry `x-ms-run-fn-exec-ms`",
        "do not",
        "The time is not known when the headers leave.",
        (
            *differing(
                "results",
                ("a flask response in pieces",),
                {"x-ms-run-fn-exec-ms": ("(milliseconds with 3 decimals)", ABSENT)},
                BOTH,
            ),
            *differing(
                "streams",
                ("pieces of text", "pieces of bytes", "no pieces"),
                {"x-ms-run-fn-exec-ms": ("(milliseconds with 3 decimals)", ABSENT)},
                BOTH,
            ),
        ),
    ),
    Topic(
        "Forms for a script that reads text",
        '`run("")`: the framework eats the body',
        "`run()` gets the text",
        "The body is what was sent.",
        (*differing("text", ("another content type",), {"body": ('["str", ""]', '["str", "a=1"]')}, BOTH),),
    ),
    Topic(
        "Swagger's defaults",
        "without `SERVICE_NAME` the title is `ML service`",
        "the service's own name",
        "It is known.",
        (*differing("a wrapper module", ("swagger of a wrapped script",), {"body": (ANY, ANY)}, BOTH),),
    ),
    Topic(
        "The class of a raw request",
        "`AMLRequest` is a class of its package",
        "`AMLRequest` is Flask's `Request` itself",
        "`isinstance` with either holds.",
        (
            *differing(
                "rawhttp",
                (
                    "sees a GET",
                    "sees JSON",
                    "sees malformed JSON",
                    "sees bytes",
                    "sees a form",
                    "sees files",
                    "sees OPTIONS",
                    "sees no body",
                ),
                {"body": (ANY, ANY)},
                BOTH,
            ),
        ),
    ),
)
DIFFERENCES: tuple[Difference, ...] = tuple(entry for topic in TOPICS for entry in topic.differences)
