"""What a service says beside scoring: swagger, a swagger of its own, CORS."""

from __future__ import annotations

from runtime.tests.conformance.cases import Case, Group, got
from runtime.tests.conformance.text_groups import ECHO

SWAGGER = Group(
    "swagger",
    ECHO,
    (
        got("the default version", "/swagger.json"),
        *(
            got(f"version {version}", f"/swagger.json?version={version}")
            for version in ("2", "2.0", "3", "3.0", "3.1")
        ),
        got("a version that is not there", "/swagger.json?version=9"),
        got("an empty version", "/swagger.json?version="),
        got("two versions", "/swagger.json?version=3&version=2"),
        got("swagger with an id", "/swagger.json", **{"x-request-id": "A"}),
    ),
    variables={
        "SERVICE_NAME": "digits",
        "SERVICE_VERSION": "3",
        "SERVICE_PATH_PREFIX": "/api/v1/service/digits",
    },
)

OWN_SWAGGER = Group(
    "a swagger of its own",
    ECHO,
    (
        got("its version 2", "/swagger.json"),
        got("its version 3", "/swagger.json?version=3"),
        got("a version that it does not bring", "/swagger.json?version=3.1"),
    ),
    variables={
        "SERVICE_NAME": "digits",
        "SERVICE_VERSION": "3",
        "SERVICE_PATH_PREFIX": "/api/v1/service/digits",
    },
    files={
        "swagger.json": '{"swagger": "2.0", "mine": true}',
        "swagger3.json": '{"openapi": "3.0.3", "mine": 3}',
    },
)

CORS = Group(
    "cors",
    ECHO,
    tuple(
        Case(
            f"{method} {path} from {origin}{' as preflight' if asked else ''}", method, path, headers=headers
        )
        for method, path, origin, asked in (
            ("POST", "/score", "https://a.example", False),
            ("POST", "/score", "https://b.example:8443", False),
            ("POST", "/score", "https://other.example", False),
            ("POST", "/score", "nobody", False),
            ("GET", "/", "https://a.example", False),
            ("GET", "/nope", "https://a.example", False),
            ("PUT", "/score", "https://a.example", False),
            ("OPTIONS", "/score", "https://a.example", True),
            ("OPTIONS", "/score", "https://other.example", True),
            ("OPTIONS", "/score", "https://a.example", False),
            ("OPTIONS", "/swagger.json", "https://a.example", True),
        )
        for headers in (
            {
                **({"Origin": origin} if origin != "nobody" else {}),
                **(
                    {
                        "Access-Control-Request-Method": "POST",
                        "Access-Control-Request-Headers": "authorization, content-type",
                    }
                    if asked
                    else {}
                ),
            },
        )
    ),
    variables={"AML_CORS_ORIGINS": "https://a.example, https://b.example:8443"},
    contract={"cors_origins": ("https://a.example", "https://b.example:8443")},
)

ANY_ORIGIN = Group(
    "cors for everybody",
    ECHO,
    (
        Case("a POST", body=b"1", headers={"Origin": "https://a.example"}),
        Case("a POST of nobody", body=b"1"),
        Case("a POST of nobody with a trace id", body=b"1", headers={"TraceId": "t-1"}),
        Case(
            "a preflight",
            "OPTIONS",
            headers={"Origin": "https://a.example", "Access-Control-Request-Method": "POST"},
        ),
    ),
    variables={"AML_CORS_ORIGINS": "*"},
    contract={"cors_origins": ("*",)},
)

_ASKED = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
ONE_ORIGIN = Group(
    "cors for one origin",
    ECHO,
    (
        Case("a POST", body=b"1", headers={"Origin": "https://a.example"}),
        Case("a POST from the origin in capitals", body=b"1", headers={"Origin": "HTTPS://A.EXAMPLE"}),
        Case("a POST of nobody", body=b"1"),
        got("health for nobody", "/"),
        got("health for the origin", "/", Origin="https://a.example"),
        got("swagger for another origin", "/swagger.json", Origin="https://b.example"),
        Case("a body that is not UTF-8", body=b"\xff", headers={"Origin": "https://a.example"}),
        Case(
            "an id that is too long",
            body=b"1",
            headers={"Origin": "https://a.example", "x-request-id": "i" * 101},
        ),
        Case("a preflight", "OPTIONS", headers=_ASKED),
        Case("a preflight of health", "OPTIONS", "/", headers=_ASKED),
        Case("a preflight for PUT", "OPTIONS", headers={**_ASKED, "Access-Control-Request-Method": "PUT"}),
        Case("a preflight of a path that is not there", "OPTIONS", "/nope", headers=_ASKED),
        Case(
            "a preflight that names headers",
            "OPTIONS",
            headers={**_ASKED, "Access-Control-Request-Headers": "x-b,X-A , content-type"},
        ),
    ),
    variables={
        "AML_CORS_ORIGINS": "https://a.example",
        "SERVICE_NAME": "digits",
        "SERVICE_VERSION": "3",
        "SERVICE_PATH_PREFIX": "/digits",
    },
    contract={"cors_origins": ("https://a.example",)},
)

UNNAMED = Group("a service without a name", ECHO, (got("its swagger", "/swagger.json"),))

NAMELESS = Group(
    "a server without a name",
    ECHO,
    (
        Case("a POST", body=b"1"),
        got("health", "/"),
        Case("an id that is too long", headers={"x-request-id": "i" * 101}),
    ),
    variables={"SERVER_VERSION_LOG_RESPONSE_ENABLED": "false"},
)

GROUPS = (SWAGGER, OWN_SWAGGER, CORS, ANY_ORIGIN, ONE_ORIGIN, UNNAMED, NAMELESS)
