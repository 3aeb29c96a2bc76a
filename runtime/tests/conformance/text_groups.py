"""Scripts without decorators, and what every service answers whatever its script: health, ids, methods."""

from __future__ import annotations

from runtime.tests.conformance.cases import Case, Group, evaluated, got, posted

EVALUATING = """
import collections, datetime, decimal, enum, fractions, json, sys, time, uuid
import flask
import numpy as np
import pandas as pd

def init():
    global tree
    tree = {"a": [1, 2.5, None, True, "\\u00e9"], "b": {"c": []}}

def run(data):
    return eval(data)
"""

ECHO = """
def init():
    pass

def run(data):
    return [type(data).__name__, data]
"""

_PARTS = b'--XX\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--XX--\r\n'
_IDS = {
    "no id": {},
    "request id": {"x-request-id": "A"},
    "legacy id": {"x-ms-request-id": "B"},
    "client id": {"x-ms-client-request-id": "C"},
    "request and legacy id": {"x-request-id": "A", "x-ms-request-id": "B"},
    "request and client id": {"x-request-id": "A", "x-ms-client-request-id": "C"},
    "legacy and client id": {"x-ms-request-id": "B", "x-ms-client-request-id": "C"},
    "all three ids": {"x-request-id": "A", "x-ms-request-id": "B", "x-ms-client-request-id": "C"},
    "ids of 100 characters": {"x-request-id": "i" * 100, "x-ms-request-id": "j" * 100},
    "request id of 101 characters": {"x-request-id": "i" * 101},
    "legacy id of 101 characters": {"x-ms-request-id": "i" * 101},
    "client id of 101 characters": {"x-ms-client-request-id": "i" * 101},
    "trace id": {"TraceId": "t-1"},
}

TEXT = Group(
    "text",
    ECHO,
    (
        posted("an object stays text", '{"data": [1]}'),
        Case("a body without a content type", body=b"plain"),
        Case(
            "another content type", body=b"a=1", headers={"content-type": "application/x-www-form-urlencoded"}
        ),
        Case(
            "a form of another spelling",
            body=b"a=1",
            headers={"content-type": "Application/X-WWW-Form-URLencoded; charset=utf-8"},
        ),
        Case("a form in parts", body=_PARTS, headers={"content-type": "multipart/form-data; boundary=XX"}),
        Case(
            "a form in parts without a boundary", body=_PARTS, headers={"content-type": "multipart/form-data"}
        ),
        posted("malformed JSON is text like any other", "{"),
        Case("an empty body"),
        Case("text beyond ASCII", body="caf\xe9 \u2603 \U0001f600".encode()),
        Case("a NUL in the text", body=b"a\x00b"),
        Case("a body that is not UTF-8", body=b"ab\xff"),
        Case("a truncated character", body=b"ab\xe2\x98"),
        Case("a body with a byte order mark", body=b"\xef\xbb\xbf[]"),
        Case("gzip is not unpacked", body=b"\x1f\x8b\x08", headers={"content-encoding": "gzip"}),
        Case("a large body", body=b"x" * 300_000),
        got("a query of one value", "/score?a=1"),
        got("a query with a repeated key", "/score?a=1&b=x&a=[2]"),
        got("a query of JSON values", "/score?n=null&t=true&l=[1,2]&f=2.50&s=%22q%22&o={%22k%22:1}&e="),
        got("a query of values that are almost JSON", "/score?a=[1&b=01&c=NaN&d=Infinity&e=1e999&f=tru"),
        got("a query with plus and percent", "/score?a+b=c%20d%2Be&%C3%A9=%E2%98%83"),
        got("a query that is not UTF-8", "/score?a=%ff"),
        got("a query without values", "/score?a&b=&=c"),
        got("a query of a thousand brackets", "/score?a=" + "[" * 1000 + "]" * 1000),
        got("no query", "/score"),
        Case("POST with a query", path="/score?a=1", body=b"x"),
        *(Case(f"{method} /score", method) for method in ("PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")),
        got("health", "/"),
        got("health with an id and a query", "/?full=1", **{"x-request-id": "A"}),
        got("health with an id that is too long", "/", **{"x-request-id": "i" * 101}),
        Case("HEAD /", "HEAD", "/"),
        Case("OPTIONS /", "OPTIONS", "/"),
        Case("POST /", "POST", "/"),
        got("a path that is not there", "/nope"),
        got("score with a slash at its end", "/score/"),
        Case("POST to a path that is not there", path="/Score"),
        Case("a wrong path with ids", path="/nope", headers=_IDS["all three ids"]),
        Case("a wrong method with ids", "PUT", headers=_IDS["all three ids"]),
        Case("a wrong path with an id that is too long", path="/nope", headers={"x-request-id": "i" * 101}),
        Case("HEAD /score with an id that is too long", "HEAD", headers={"x-request-id": "i" * 101}),
        Case(
            "an id that is too long beside a trace id", headers={"x-request-id": "i" * 101, "TraceId": "t-1"}
        ),
        got("a path that is not UTF-8", "/score%FF"),
        Case("OPTIONS /swagger.json", "OPTIONS", "/swagger.json"),
        Case("HEAD /swagger.json", "HEAD", "/swagger.json"),
        Case("POST /swagger.json", "POST", "/swagger.json"),
        *(Case(name, body=b"1", headers=headers) for name, headers in _IDS.items()),
    ),
)

RESULTS = Group(
    "results",
    EVALUATING,
    (
        *(
            evaluated(f"returns {expression}", expression)
            for expression in (
                "None", "'text'", "''", "b'bytes'", "True", "1", "2**70", "-0.0", "1e400", "[1e16, 1e-7, 0.1]",
                "float('nan')", "[float('inf'), -float('inf')]", "(1, (2,))", "{}", "tree", "{1: 2, None: 3}",
                "{True: 1, 2.5: 2}", "{(1,): 2}", "{1, 2}", "object()", "range(3)", "np.zeros(2)", "np.float32(0.5)",
                "np.float64(0.5)", "np.int64(7)", "np.bool_(True)", "[np.int64(7)]", "pd.DataFrame({'a': [1]})",
                "pd.Series([1])", "pd.Timestamp('2020-01-02')", "datetime.datetime(2020, 1, 2, 3, 4, 5)",
                "datetime.date(2020, 1, 2)", "decimal.Decimal('1.10')", "uuid.UUID(int=7)",
                "fractions.Fraction(1, 3)", "enum.IntEnum('E', 'a')(1)", "collections.OrderedDict(b=1, a=2)",
                "collections.namedtuple('P', 'x y')(1, 2)", "'\\ud800'", "'\\u2028</script>'", "bytearray(b'x')",
                "json.dumps([1])",
            )
        ),
        evaluated("raises", "1/0"),
        evaluated("raises with data in its text", "{}['secret']"),
        evaluated("a name that is not there", "nothing"),
        evaluated("a result that contains itself", "[x := [], x.append(x)][0]"),
        evaluated("a result as deep as nothing", "[x := [], [x := [x] for _ in range(5000)]][1][-1]"),
        evaluated("a TimeoutError of its own", "(_ for _ in ()).throw(TimeoutError('mine'))"),
        evaluated("a flask response", "flask.Response('tea', 418)"),
        evaluated("a flask response with a type", "flask.Response(b'\\x89PNG', mimetype='image/png')"),
        evaluated("a flask response of a server error", "flask.Response('no', 503)"),
        evaluated("a flask response with headers", "flask.Response('x', 201, {'x-scripts-own': 'a', 'Vary': 'b'})"),
        evaluated("a flask response without content", "flask.Response(status=204)"),
        evaluated("a flask redirect", "flask.redirect('/elsewhere')"),
        evaluated("a flask response in pieces", "flask.Response(iter(['a', 'b', 'c']), mimetype='text/event-stream')"),
        evaluated("a flask response in pieces of a server error", "flask.Response(iter(['a']), 503)"),
        evaluated("a tuple as flask has it", "('body', 201)"),
    ),
    contract={"timeout_s": 3600.0},  # v1's own, which it names where a script's TimeoutError passes for its alarm
)  # fmt: skip

HEADERS = Group(
    "request headers",
    """
def init():
    pass

def run(data, request_headers):
    names = ("Content-Type", "Content-Length", "X-Team", "Host", "Authorization")
    return [type(request_headers).__name__, {name: request_headers.get(name) for name in names}]
""",
    (
        posted("headers have the names v1 gave them", "1", x_team="blue", authorization="Bearer k"),
        Case("a header beyond ASCII", body=b"1", headers={"x-team": "caf\xe9"}),
        got("headers of a GET", "/score?a=1", **{"X-TEAM": "red"}),
    ),
)

OTHER_NAMES = Group(
    "other parameter names",
    """
def init():
    pass

def run(request_headers, payload, extra=5, *, flag=None):
    return [payload, extra, flag, sorted(request_headers)[0]]
""",
    (
        Case("any name takes the text and defaults hold", body=b"x", headers={"accept": "*/*"}),
        got("any name takes the query", "/score?flag=1"),
    ),
)

WRAPPED = Group(
    "a wrapper module",
    """
import inner as driver_module

def init():
    driver_module.prepared = True

def run(data):
    return "the wrapper's run is never called"
""",
    (
        Case("run of the driver module answers", body=b"x"),
        got("swagger of a wrapped script", "/swagger.json"),
    ),
    variables={"SERVICE_NAME": "digits", "SERVICE_VERSION": "3", "SERVICE_PATH_PREFIX": "/digits"},
    files={
        "inner.py": "prepared = False\n\ndef init():\n    pass\n\ndef run(data):\n    return [data, prepared]\n"
    },
)

TIMEOUT = Group(
    "timeout",
    """
import time

def init():
    pass

def run(data):
    time.sleep(float(data))
    return "done"
""",
    (Case("in time", body=b"0.01"), Case("too slow", body=b"2")),
    variables={"SCORING_TIMEOUT_MS": "500"},
    contract={"timeout_s": 0.5},
)

EXIT = Group(
    "exit",
    """
import sys

def init():
    pass

def run(data):
    if data == "exit":
        sys.exit(3)
    return data
""",
    (Case("before", body=b"a"), Case("run calls sys.exit", body=b"exit"), Case("after", body=b"b")),
)

GROUPS = (TEXT, RESULTS, HEADERS, OTHER_NAMES, WRAPPED, TIMEOUT, EXIT)
