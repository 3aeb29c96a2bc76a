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
        Case(
            "a preflight",
            "OPTIONS",
            headers={"Origin": "https://a.example", "Access-Control-Request-Method": "POST"},
        ),
    ),
    variables={"AML_CORS_ORIGINS": "*"},
    contract={"cors_origins": ("*",)},
)

GROUPS = (SWAGGER, OWN_SWAGGER, CORS, ANY_ORIGIN)
