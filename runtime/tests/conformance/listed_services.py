"""Meant differences in what a service says whatever its script: names, ids, errors, browsers, swagger."""

from __future__ import annotations

from runtime.tests.conformance.comparing import ABSENT
from runtime.tests.conformance.differences import Everywhere, Topic, differing, like

NO_SUCH_PATH = (
    "The requested URL was not found on the server. If you entered the URL manually please check your"
    " spelling and try again."
)
_LISTED = "https://a.example"

TOPICS: tuple[Topic, ...] = (
    Topic(
        "The server's name",
        "names itself in `x-ms-server-version`",
        "no such header",
        "What serves is nobody's business but yours.",
        (Everywhere("x-ms-server-version", "azmlinfsrv/1.5.1", ABSENT, ("text", "health")),),
    ),
    Topic(
        "One error body",
        'an error is `{"message"}`, plain text or an HTML page',
        '`{"code", "message", "request_id"}`, with `path` where a value is at fault',
        "One shape to read, whoever refused; `message` stays.",
        (
            Everywhere("keys of the error", "message", "code, message, request_id", ("text", "POST /")),
            Everywhere(
                "keys of the error", "message", "code, message, path, request_id", ("numpy", "a missing key")
            ),
        ),
    ),
    Topic(
        "Request ids on every answer",
        "none on answers of wrong paths, wrong methods and ids that are too long",
        "always, cut to 100 characters; one that is too long is refused on wrong paths too",
        "An error is what one wants to find in the logs.",
        (
            Everywhere("x-request-id", ABSENT, like(r"\(a new id\)|A|i{100}"), ("text", "POST /")),
            Everywhere("x-ms-request-id", ABSENT, like(r"\(as x-request-id\)|B|i{100}"), ("text", "POST /")),
            Everywhere("x-ms-client-request-id", ABSENT, like("C|i{100}"), ("text", "a wrong path with ids")),
            *differing(
                "text",
                ("a wrong path with an id that is too long",),
                {
                    "message": (NO_SUCH_PATH, "x-request-id must not exceed 100 characters"),
                    "status": ("404", "431"),
                },
            ),
        ),
    ),
    Topic(
        "Paths that are not UTF-8",
        "404",
        "400 that says so",
        "It is no path that anybody can have meant.",
        differing(
            "text",
            ("a path that is not UTF-8",),
            {
                "message": (NO_SUCH_PATH, "the path is not UTF-8 once its percent escapes are read"),
                "status": ("404", "400"),
            },
        ),
    ),
    Topic(
        "Browsers",
        "no CORS headers on errors of wrong paths and methods; preflights of `/` and `/swagger.json` in full, but"
        " none for other methods than GET and POST, and to a raw script they are requests like any other; a"
        " listed origin named to callers that sent none, in any case of letters, without `Vary` where it is the"
        " only one",
        "CORS headers on every answer, always with `Vary`; a preflight of `/score` is answered for the script and"
        " may be kept for ten minutes; only callers that send an origin, as browsers spell it, are told one",
        "A page must be able to read why it was refused, and a script has other things to do.",
        (
            *differing(
                "cors",
                ("POST /score from nobody",),
                {"access-control-allow-origin": (_LISTED, ABSENT), "vary": ("Origin", ABSENT)},
            ),
            *differing(
                "cors",
                ("GET /nope from https://a.example", "PUT /score from https://a.example"),
                {"vary": (ABSENT, "Origin"), "access-control-allow-origin": (ABSENT, _LISTED)},
            ),
            *differing(
                "cors",
                ("OPTIONS /score from https://a.example as preflight",),
                {"access-control-max-age": (ABSENT, "600")},
            ),
            *differing(
                "cors",
                ("OPTIONS /swagger.json from https://a.example as preflight",),
                {
                    "access-control-allow-headers": ("authorization, content-type", ABSENT),
                    "access-control-allow-methods": ("GET, POST", ABSENT),
                },
            ),
            *differing("cors for everybody", ("a preflight",), {"access-control-max-age": (ABSENT, "600")}),
            *differing(
                "cors for one origin",
                (
                    "a POST",
                    "health for the origin",
                    "a body that is not UTF-8",
                    "an id that is too long",
                    "a preflight",
                    "a preflight of health",
                    "a preflight for PUT",
                    "a preflight of a path that is not there",
                    "a preflight that names headers",
                ),
                {"vary": (ABSENT, "Origin")},
            ),
            *differing(
                "cors for one origin",
                ("a POST from the origin in capitals",),
                {"access-control-allow-origin": ("HTTPS://A.EXAMPLE", ABSENT)},
            ),
            *differing(
                "cors for one origin",
                ("a POST of nobody", "health for nobody"),
                {"access-control-allow-origin": (_LISTED, ABSENT)},
            ),
            *differing(
                "cors for one origin",
                ("a preflight", "a preflight for PUT", "a preflight that names headers"),
                {"access-control-max-age": (ABSENT, "600")},
            ),
            *differing(
                "cors for one origin",
                ("a preflight of health",),
                {"access-control-allow-methods": ("GET, POST", ABSENT)},
            ),
            *differing(
                "cors for one origin",
                ("a preflight for PUT",),
                {"access-control-allow-methods": (ABSENT, "GET, POST")},
            ),
            *differing(
                "cors for one origin",
                ("a preflight of a path that is not there",),
                {"access-control-allow-origin": (ABSENT, _LISTED)},
            ),
            *differing(
                "a raw script that browsers ask",
                ("a preflight", "OPTIONS that is none", "GET"),
                {"vary": (ABSENT, "Origin")},
            ),
            *differing(
                "a raw script that browsers ask",
                ("a preflight",),
                {
                    "body": ("OPTIONS", ""),
                    "status": ("202", "200"),
                    "x-scripts-own": ("s", ABSENT),
                    "x-ms-run-fn-exec-ms": ("(milliseconds with 3 decimals)", ABSENT),
                    "access-control-max-age": (ABSENT, "600"),
                },
            ),
        ),
    ),
    Topic(
        "Swagger's defaults",
        "without `SERVICE_NAME`, `SERVICE_VERSION` and `SERVICE_PATH_PREFIX` it is `ML service`, `1.0`, below `/`",
        "the service's own name, revision and path",
        "They are known.",
        differing(
            "a service without a name",
            ("its swagger",),
            {
                "body": (
                    like(r'.*"title": "ML service", "version": "1\.0"\}, "paths": \{"/": .*'),
                    like(r'.*"title": "digits", "version": "3"\}, "paths": \{"/api/v1/service/digits/": .*'),
                )
            },
        ),
    ),
)
