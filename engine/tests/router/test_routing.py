from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import attrs
import httpx
import pytest
from modelyard.api import AuthPolicy
from modelyard.router import memory
from modelyard.router.admin import Admin
from modelyard.router.bootstrap import EnvoyFiles

from engine.tests.router.conftest import KEY, Replica, Rig, key_policy, service

pytestmark = pytest.mark.e2e
SCORE = "/api/v1/service/a/score"


@pytest.fixture
def replica(shared: Rig):
    made = shared.replica()
    yield made
    shared.publish()
    shared.replicas.remove(made)
    made.close()


@pytest.fixture
def client(shared: Rig):
    with shared.client() as made:
        yield made


def error_of(response: httpx.Response) -> str:
    body = response.json()
    assert set(body) == {"code", "message", "request_id"}
    assert response.headers["content-type"] == "application/json"
    assert body["message"]
    if response.headers.get("x-request-id"):
        assert body["request_id"] == response.headers["x-request-id"]
    code: str = body["code"]
    return code


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/api/v1/service/a/score", "/score"),
        ("/api/v1/service/a/score?x=1", "/score?x=1"),
        ("/api/v1/service/a/swagger.json", "/swagger.json"),
        ("/api/v1/service/a", "/"),
        ("/api/v1/service/a/", "/"),
        ("/api/v1/service/a/v2", "/v2"),
        ("/api/v1/service/a/v2/models/m/infer", "/v2/models/m/infer"),
        ("/api/v1/namespace/default/service/a/score", "/score"),
        ("/api/v1//service/./a/score", "/score"),
    ],
)
def test_a_path_of_a_service_reaches_the_replica_without_its_prefix(
    shared: Rig, replica: Replica, client: httpx.Client, path: str, seen: str
):
    shared.publish(service("a", replica.address))
    assert client.get(path).json()["path"] == seen


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/score",
        "/api/v1/service/b/score",
        "/api/v1/service/a/modelyard/status",
        "/modelyard/status",
        "/api/v1/service/a/v2x",
        "/api/v1/service/a/score/more",
        "/api/v1/service/a/score/../modelyard/status",
        "/api/v1/namespace/other/service/a/score",
    ],
)
def test_everything_else_is_not_found(shared: Rig, replica: Replica, client: httpx.Client, path: str):
    shared.publish(service("a", replica.address))
    response = client.get(path)
    assert (response.status_code, error_of(response)) == (404, "NotFound")


def test_services_of_one_name_in_two_namespaces_are_two(shared: Rig, replica: Replica, client: httpx.Client):
    other = shared.replica("other")
    shared.publish(service("a", replica.address), service("a", other.address, namespace="team"))
    assert client.get(SCORE).json()["replica"] == replica.path.name
    assert client.get("/api/v1/namespace/team/service/a/score").json()["replica"] == other.path.name


def test_other_methods_are_refused(shared: Rig, replica: Replica, client: httpx.Client):
    shared.publish(service("a", replica.address))
    response = client.put(SCORE, content=b"x")
    assert (response.status_code, error_of(response)) == (405, "MethodNotAllowed")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": KEY},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {KEY}"},
        {"authorization": f"Bearer {KEY} x"},
        {"authorization": f"Bearer {'k' * 300}"},
    ],
)
def test_without_a_valid_key_nobody_gets_in(
    shared: Rig, replica: Replica, client: httpx.Client, headers: dict[str, str]
):
    shared.publish(service("a", replica.address, auth=key_policy(KEY)))
    response = client.get(SCORE, headers=headers)
    assert (response.status_code, error_of(response)) == (401, "Unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"


def test_two_authorization_headers_are_as_good_as_none(shared: Rig, replica: Replica, client: httpx.Client):
    shared.publish(service("a", replica.address, auth=key_policy(KEY)))
    twice = [("authorization", f"Bearer {KEY}"), ("authorization", "Bearer other")]
    assert client.get(SCORE, headers=twice).status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("length", [1, 32, 55, 56, 63, 64, 119, 120, 256])
def test_a_valid_key_of_any_length_gets_in(
    shared: Rig, replica: Replica, client: httpx.Client, scheme: str, length: int
):
    key = ("0123456789abcdef" * 16)[:length]
    shared.publish(service("a", replica.address, auth=key_policy(key)))
    assert client.get(SCORE, headers={"authorization": f"{scheme} {key}"}).status_code == 200


def test_the_replica_never_sees_the_key(shared: Rig, replica: Replica, client: httpx.Client):
    shared.publish(service("a", replica.address, auth=key_policy(KEY)))
    assert KEY not in client.get(SCORE, headers={"authorization": f"Bearer {KEY}"}).text


def test_a_service_of_mode_key_without_keys_lets_nobody_in(
    shared: Rig, replica: Replica, client: httpx.Client
):
    shared.publish(service("a", replica.address, auth=AuthPolicy("key")))
    assert client.get(SCORE, headers={"authorization": f"Bearer {KEY}"}).status_code == 401


def test_a_key_of_one_service_does_not_open_another(shared: Rig, replica: Replica, client: httpx.Client):
    shared.publish(
        service("a", replica.address, auth=key_policy("a" * 32)),
        service("b", replica.address.replace("unix:", "unix:/."), auth=key_policy("b" * 32)),
    )
    assert client.get(SCORE, headers={"authorization": f"Bearer {'b' * 32}"}).status_code == 401


def test_keys_rotate_on_an_open_connection(shared: Rig, replica: Replica, client: httpx.Client):
    known = service("a", replica.address, auth=key_policy("old" * 12))
    shared.publish(known)

    def status(key: str) -> tuple[int, object]:
        response = client.get(SCORE, headers={"authorization": f"Bearer {key}"})
        return response.status_code, response.extensions["network_stream"].get_extra_info("client_addr")

    before, connection = status("old" * 12)
    shared.publish(attrs.evolve(known, auth=key_policy("new" * 12)))
    after_old, _ = status("old" * 12)
    after_new, same = status("new" * 12)
    assert (before, after_old, after_new) == (200, 401, 200)
    assert same == connection


def test_a_request_that_is_too_large_is_refused_before_it_is_sent(
    shared: Rig, replica: Replica, client: httpx.Client
):
    shared.publish(service("a", replica.address, max_body_bytes=100))
    response = client.post(SCORE, content=b"x" * 101)
    assert (response.status_code, error_of(response)) == (413, "RequestTooLarge")
    assert client.post(SCORE, content=b"x" * 100).status_code == 200


def test_the_key_is_checked_before_the_size(shared: Rig, replica: Replica, client: httpx.Client):
    shared.publish(service("a", replica.address, max_body_bytes=10, auth=key_policy(KEY)))
    assert client.post(SCORE, content=b"x" * 11).status_code == 401


def test_without_replicas_the_answer_says_try_again(shared: Rig, client: httpx.Client):
    shared.publish(service("a"))
    response = client.get(SCORE)
    assert (response.status_code, error_of(response)) == (503, "NoReadyReplica")
    assert response.headers["retry-after"] == "1"
    shared.publish()


def test_a_replica_that_dies_while_it_answers_is_a_bad_gateway(
    shared: Rig, replica: Replica, client: httpx.Client
):
    shared.publish(service("a", replica.address))
    response = client.get("/api/v1/service/a/v2/die")
    assert (response.status_code, error_of(response)) == (502, "ReplicaFailed")


def test_a_slow_replica_is_a_gateway_timeout(shared: Rig, replica: Replica, client: httpx.Client):
    shared.publish(service("a", replica.address, timeout_seconds=0.2))
    response = client.get("/api/v1/service/a/v2/hold")
    assert (response.status_code, error_of(response)) == (504, "ScoringTimeout")


def test_a_dead_replica_that_is_still_listed_costs_no_request(
    shared: Rig, replica: Replica, client: httpx.Client
):
    shared.publish(service("a", replica.address, "unix:/nowhere/to/be/found"))
    assert {client.get(SCORE).status_code for _ in range(20)} == {200}


def test_overload_is_said_at_once(shared: Rig, replica: Replica, client: httpx.Client):
    shared.publish(service("a", replica.address, max_concurrent=1, max_pending=0))

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(httpx.get, f"{shared.url}/api/v1/service/a/v2/hold", timeout=15, trust_env=False)
        assert replica.holding.wait(10)
        refused = client.get(SCORE)
        replica.release.set()
        held = first.result()
    assert (refused.status_code, error_of(refused)) == (503, "Overloaded")
    assert refused.headers["retry-after"] == "1"
    assert held.status_code == 200


def test_a_draining_replica_gets_no_new_request(shared: Rig, replica: Replica, client: httpx.Client):
    other = shared.replica("other")
    known = service("a", replica.address, other.address)
    draining = tuple(attrs.evolve(e, draining=e.address == replica.address) for e in known.endpoints)
    shared.publish(attrs.evolve(known, endpoints=draining))
    assert {client.get(SCORE).json()["replica"] for _ in range(20)} == {other.path.name}


def test_the_callers_request_id_is_kept(shared: Rig, replica: Replica, client: httpx.Client):
    shared.publish(service("a", replica.address))
    response = client.get(SCORE, headers={"x-request-id": "order-66"})
    assert response.headers["x-request-id"] == "order-66"
    assert response.json()["headers"]["x-request-id"] == "order-66"


@pytest.mark.parametrize("bad", ["x" * 101, "a b"])
def test_a_request_id_that_is_none_is_refused(shared: Rig, replica: Replica, client: httpx.Client, bad: str):
    shared.publish(service("a", replica.address))
    response = client.get(SCORE, headers={"x-request-id": bad})
    assert (response.status_code, error_of(response)) == (431, "HeadersTooLarge")


@pytest.mark.parametrize(
    "header", ["x-client-id", "x-envoy-retry-on", "x-envoy-internal", "x-forwarded-client-cert"]
)
def test_claims_of_the_client_do_not_reach_the_replica(
    shared: Rig, replica: Replica, client: httpx.Client, header: str
):
    shared.publish(service("a", replica.address))
    assert header not in client.get(SCORE, headers={header: "me"}).json()["headers"]


def test_a_client_cannot_shorten_the_time_limit_by_envoys_headers(
    shared: Rig, replica: Replica, client: httpx.Client
):
    shared.publish(service("a", replica.address))
    replica.release.set()
    response = client.get("/api/v1/service/a/v2/hold", headers={"x-envoy-upstream-rq-timeout-ms": "1"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /api/v1/service/a%2Fscore HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nbad_header: 1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nbig: " + b"x" * 61_600 + b"\r\n\r\n", b"431"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
def test_requests_that_mean_harm_get_a_json_error(shared: Rig, raw: bytes, status: bytes):
    import socket

    with socket.create_connection(("127.0.0.1", shared.settings.port), timeout=10) as connection:
        connection.sendall(raw)
        content = connection.recv(65536)
    head, _, body = content.partition(b"\r\n\r\n")
    assert head.split()[1] == status
    assert set(json.loads(body)) == {"code", "message", "request_id"}


def test_settings_of_the_edge_guide_are_in_the_running_envoy(shared: Rig):
    state = memory.read_state(shared.home.router_state)
    assert state is not None
    dump = asyncio.run(Admin(EnvoyFiles(shared.home.router_run, state.parent.pid).admin).config_dump())
    by_kind = {config["@type"].rpartition(".")[2]: config for config in dump["configs"]}
    listening = by_kind["ListenersConfigDump"]["dynamic_listeners"][0]["active_state"]["listener"]
    manager = listening["filter_chains"][0]["filters"][0]["typed_config"]
    first = by_kind["BootstrapConfigDump"]["bootstrap"]
    expected = {
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "request_headers_timeout": "10s",
        "request_timeout": "600s",
        "stream_idle_timeout": "60s",
        "server_name": "modelyard",
    }
    assert {name: manager[name] for name in expected} == expected
    assert manager["common_http_protocol_options"]["headers_with_underscores_action"] == "REJECT_REQUEST"
    assert manager["common_http_protocol_options"]["max_connection_duration"] == "3600s"
    assert "max_requests_per_connection" not in manager["common_http_protocol_options"]
    assert manager["http2_protocol_options"]["max_concurrent_streams"] == 100
    assert manager["http2_protocol_options"]["initial_stream_window_size"] == 65_536
    assert manager["http2_protocol_options"]["initial_connection_window_size"] == 1_048_576
    assert listening["per_connection_buffer_limit_bytes"] == 32_768
    assert "authorization" not in json.dumps(manager["access_log"]).lower()
    assert "pipe" in first["admin"]["address"]
    monitors = {
        monitor["name"].rpartition(".")[2] for monitor in first["overload_manager"]["resource_monitors"]
    }
    assert monitors == {"fixed_heap", "global_downstream_max_connections"}
    thresholds = {
        a["name"].rpartition(".")[2]: a["triggers"][0]["threshold"]["value"]
        for a in first["overload_manager"]["actions"]
    }
    assert thresholds == {"shrink_heap": 0.95, "stop_accepting_requests": 0.98}


@pytest.mark.slow
def test_headers_that_never_end_are_a_request_timeout(shared: Rig):
    import socket

    with socket.create_connection(("127.0.0.1", shared.settings.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
    assert head.split()[1] == b"408"
    assert json.loads(body)["code"] == "RequestTimeout"
