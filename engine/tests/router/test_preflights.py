"""A browser's preflight carries no key: it alone passes without one, and only where a service allows origins."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from engine.tests.router.conftest import KEY, Rig, key_policy, service

pytestmark = pytest.mark.e2e

ASKS = {"origin": "https://a.example", "access-control-request-method": "POST"}
BEARER = {"authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def client(shared: Rig) -> Iterator[httpx.Client]:
    replica = shared.replica()
    shared.publish(
        service(
            "open",
            replica.address,
            auth=key_policy(KEY),
            cors=("https://a.example", "https://b.example"),
            default=True,
        ),
        service("shut", replica.address, auth=key_policy(KEY)),
    )
    with shared.client() as made:
        yield made
    shared.publish()
    replica.close()
    shared.replicas.remove(replica)


@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        ("/api/v1/service/open/score", "/score"),
        ("/api/v1/namespace/default/service/open/score", "/score"),
        ("/api/v1/service/open/v2/models/m/infer", "/v2/models/m/infer"),
        ("/v2/models/m/infer", "/v2/models/m/infer"),
    ],
)
def test_a_preflight_reaches_the_replica_without_a_key(client: httpx.Client, path: str, arrives: str):
    answer = client.options(path, headers=ASKS)
    assert (answer.status_code, answer.json()["path"]) == (200, arrives)


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("OPTIONS", "/api/v1/service/shut/score", ASKS),
        ("OPTIONS", "/api/v1/service/open/score", {}),
        ("OPTIONS", "/api/v1/service/open/score", {"origin": "https://a.example"}),
        ("OPTIONS", "/api/v1/service/open/score", {"access-control-request-method": "POST"}),
        ("OPTIONS", "/api/v1/service/open/swagger.json", ASKS),
        ("OPTIONS", "/api/v1/service/open/", ASKS),
        ("POST", "/api/v1/service/open/score", ASKS),
        ("GET", "/api/v1/service/open/score", ASKS),
    ],
)
def test_nothing_else_passes_without_a_key(
    client: httpx.Client, method: str, path: str, headers: dict[str, str]
):
    assert client.request(method, path, headers=headers).status_code == 401


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "GET", "HEAD"])
def test_with_a_key_every_method_of_the_contract_is_routed(client: httpx.Client, method: str):
    assert client.request(method, "/api/v1/service/shut/score", headers=BEARER).status_code == 200
