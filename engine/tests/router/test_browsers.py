"""A page reads why the router refused it: errors carry CORS headers for the service's origins, and no others."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from engine.tests.router.conftest import KEY, Replica, Rig, key_policy, service

pytestmark = pytest.mark.e2e

PAGE = {"origin": "https://a.example"}
BEARER = {"authorization": f"Bearer {KEY}"}
ASKS = {"access-control-request-method": "POST"}


@pytest.fixture(scope="module")
def replica(shared: Rig) -> Replica:
    return shared.replica()


@pytest.fixture(scope="module")
def client(shared: Rig, replica: Replica) -> Iterator[httpx.Client]:
    listed = ("https://a.example", "https://b.example")
    shared.publish(
        service(
            "open", replica.address, auth=key_policy(KEY), cors=listed, timeout_seconds=0.3, default=True
        ),
        service("any", cors=("*",)),
        service("shut", replica.address, auth=key_policy(KEY)),
    )
    with shared.client() as made:
        yield made
    shared.publish()


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/api/v1/service/open/score", {}, 401),
        ("/api/v1/namespace/default/service/open/score", {}, 401),
        ("/api/v1/service/open/v2/models/m/infer", {}, 401),
        ("/v2/models/m/infer", {}, 401),
        ("/api/v1/service/open/nothing", {}, 404),
        ("/api/v1/service/open/score", BEARER | {"content-length": "1001"}, 413),
        ("/api/v1/service/open/v2/hold", BEARER, 504),
        ("/api/v1/service/open/v2/die", BEARER, 502),
        ("/api/v1/service/any/score", {}, 503),
        ("/api/v1/service/any/nothing", {}, 404),
    ],
)
def test_an_error_of_the_router_can_be_read_by_a_page_of_a_listed_origin(
    client: httpx.Client, path: str, more: dict[str, str], status: int
):
    body = b"x" * int(more.get("content-length", 0))
    answer = client.post(path, headers=PAGE | more, content=body)
    assert answer.status_code == status
    assert answer.json()["code"]
    assert answer.headers.get_list("access-control-allow-origin") == ["https://a.example"]
    assert answer.headers.get_list("vary") == ["Origin"]


def test_a_method_that_is_not_served_is_refused_readably(client: httpx.Client):
    answer = client.delete("/api/v1/service/open/score", headers=PAGE | BEARER)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (405, "https://a.example")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/v1/service/open/score", {"origin": "https://evil.example"}),
        ("/api/v1/service/open/score", {"origin": "https://a.example.evil"}),
        ("/api/v1/service/open/score", {"origin": "*"}),
        ("/api/v1/service/open/score", {}),
        ("/api/v1/service/shut/score", PAGE),
        ("/api/v1/service/nobody/score", PAGE),
    ],
)
def test_nobody_else_is_let_read(client: httpx.Client, path: str, headers: dict[str, str]):
    answer = client.post(path, headers=headers)
    assert answer.status_code in (401, 404)
    assert "access-control-allow-origin" not in answer.headers


def test_a_preflight_is_never_answered_by_the_router(client: httpx.Client):
    answer = client.options("/api/v1/service/open/swagger.json", headers=PAGE | ASKS | BEARER)
    assert (answer.status_code, "access-control-allow-methods" in answer.headers) == (405, False)
