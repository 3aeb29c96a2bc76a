"""The main job, as a user does it: a folder with a model becomes an endpoint."""

from __future__ import annotations

import contextlib
import http.client
import json
from pathlib import Path

import httpx
import pytest

from tests.conftest import SCORE, Prober, RunningEngine, doubler, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def served(shared_engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> RunningEngine:
    shared_engine.deploy(doubler(tmp_path_factory.mktemp("project") / "served", name="served"))
    return shared_engine


def test_a_deployed_folder_answers_over_http_with_its_key(served: RunningEngine):
    answer = served.post("served", {"data": [1, 2, 3]})
    assert (answer.status_code, answer.json()) == (200, [2, 4, 6])


def test_it_answers_over_grpc_on_the_same_port(served: RunningEngine):
    outputs = served.client.infer("served", {"data": [1.0, 2.0]}).outputs
    assert next(iter(outputs.values())).tolist() == [2.0, 4.0]


@pytest.mark.parametrize("bearer", [None, "Bearer wrong", "Basic dXNlcjpwYXNz"])
def test_without_a_valid_key_it_answers_401_as_json(served: RunningEngine, bearer: str | None):
    headers = {"Authorization": bearer} if bearer else {}
    answer = httpx.post(served.url("served"), json={"data": [1]}, headers=headers)
    assert answer.status_code == 401
    assert set(answer.json()) >= {"code", "message", "request_id"}


def test_an_unknown_service_is_404_as_json(served: RunningEngine):
    answer = served.post("served", {"data": [1]})
    assert answer.status_code == 200
    missing = httpx.post(served.url("nobody"), json={})
    assert missing.status_code == 404
    assert set(missing.json()) >= {"code", "message", "request_id"}


def test_a_body_over_the_limit_is_413_before_it_is_read(served: RunningEngine):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/api/v1/service/served/score")
        connection.putheader("Authorization", f"Bearer {served.key('served')}")
        connection.putheader("Content-Length", "100000001")
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == 413
        assert set(json.loads(answer.read())) >= {"code", "message", "request_id"}


def test_a_script_that_raises_is_500_or_502_without_a_traceback(served: RunningEngine):
    answer = served.post("served", {"nothing": 1})
    assert answer.status_code in {500, 502}
    assert "Traceback" not in answer.text


def test_swagger_is_served(served: RunningEngine):
    url = served.url("served").replace("/score", "/swagger.json")
    answer = httpx.get(url, headers={"Authorization": f"Bearer {served.key('served')}"})
    assert answer.json()["swagger"] == "2.0"


def test_the_command_line_scores_like_any_client(served: RunningEngine):
    answer = served.cli("score", "served", "--data", '{"data": [4]}')
    assert (answer.code, json.loads(answer.out)) == (0, [8])


def test_the_same_deploy_again_changes_nothing(lent_engine: RunningEngine, tmp_path: Path):
    folder = doubler(tmp_path / "doubler")
    lent_engine.deploy(folder)
    before = lent_engine.client.service("doubler")
    lent_engine.deploy(folder)
    after = lent_engine.client.service("doubler")
    assert [replica.id for replica in after.replicas] == [replica.id for replica in before.replicas]


def test_a_code_change_is_a_new_version_and_rollback_brings_the_old_one_back(
    lent_engine: RunningEngine, tmp_path: Path
):
    folder = doubler(tmp_path / "doubler")
    lent_engine.deploy(folder)
    doubler(folder, factor=3)
    lent_engine.deploy(folder)
    assert lent_engine.post("doubler", {"data": [1]}).json() == [3]
    answer = lent_engine.cli("rollback", "doubler")
    assert answer.code == 0, answer.err
    assert lent_engine.post("doubler", {"data": [1]}).json() == [2]


def test_a_rotated_key_is_refused_at_once_and_the_other_one_still_works(
    lent_engine: RunningEngine, tmp_path: Path
):
    lent_engine.deploy(doubler(tmp_path / "doubler"))
    old = lent_engine.client.keys("doubler")
    assert lent_engine.cli("keys", "doubler", "--rotate", "primary").code == 0
    refused = lent_engine.post("doubler", {"data": [1]}, key=old.primary.reveal())
    kept = lent_engine.post("doubler", {"data": [1]}, key=old.secondary.reveal())
    fresh = lent_engine.post("doubler", {"data": [1]}, key=lent_engine.key("doubler"))
    assert [refused.status_code, kept.status_code, fresh.status_code] == [401, 200, 200]


def test_a_deleted_service_leaves_no_process_and_no_key(lent_engine: RunningEngine, tmp_path: Path):
    lent_engine.deploy(doubler(tmp_path / "doubler"))
    (replica,) = lent_engine.client.service("doubler").replicas
    assert lent_engine.cli("delete", "doubler").code == 0
    assert not Path(f"/proc/{replica.pid}").exists() or until(
        lambda: not Path(f"/proc/{replica.pid}").exists()
    )
    assert list(lent_engine.home.keys.glob("doubler*")) == []
    assert httpx.post(lent_engine.url("doubler"), json={}).status_code == 404


@pytest.mark.parametrize(
    ("score", "cause"),
    [
        (SCORE.replace("global factor", "raise ValueError('no such model')"), "no such model"),
        ("import os\ndef init():\n    os._exit(9)\ndef run(data):\n    return 1\n", "9"),
        (SCORE.replace('asked["data"]', 'asked["absent"]'), "sample"),
    ],
    ids=["init raises", "init kills the process", "the sample fails"],
)
def test_a_failed_deploy_names_its_cause_and_the_old_version_serves_on(
    lent_engine: RunningEngine, tmp_path: Path, score: str, cause: str
):
    folder = doubler(tmp_path / "doubler")
    lent_engine.deploy(folder)
    doubler(folder, score=score)
    failed = lent_engine.cli("deploy", folder)
    assert failed.code == 2
    assert cause in failed.err
    assert "remedy" in failed.err
    assert lent_engine.post("doubler", {"data": [5]}).json() == [10]


def test_an_init_that_hangs_ends_in_a_clear_error(lent_engine: RunningEngine, tmp_path: Path):
    slow = SCORE.replace("    global factor", "    time.sleep(600)\n    global factor")
    folder = doubler(tmp_path / "doubler", score=slow, more="probes: {startup_timeout: 2s}\n")
    failed = lent_engine.cli("deploy", folder)
    assert failed.code == 2
    assert "init()" in failed.err


def test_what_nothing_installed_can_serve_is_refused_by_the_plan(lent_engine: RunningEngine, tmp_path: Path):
    folder = doubler(tmp_path / "doubler", more="auth: token\ntarget: kubernetes\n")
    plan = lent_engine.cli("plan", folder)
    assert plan.code == 1
    assert "key" in plan.out + plan.err
    assert "process" in plan.out + plan.err


def test_under_load_replicas_are_added_and_no_request_is_lost(engine: RunningEngine, tmp_path: Path):
    from concurrent.futures import ThreadPoolExecutor

    engine.deploy(
        doubler(tmp_path / "doubler", more="scaling: {min: 1, max: 3}\nrequest: {queue_wait: 20s}\n")
    )
    key = engine.key("doubler")
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(engine.post, "doubler", {"data": [1], "sleep": 0.5}, key=key) for _ in range(60)]
        until(lambda: len(engine.client.service("doubler").replicas) == 3)
        assert {future.result().status_code for future in asked} == {200}
    assert any(record.wanted == 3 for record in engine.client.scaling("doubler"))


@pytest.mark.slow
def test_rollouts_and_scaling_up_and_down_under_load_lose_no_request(engine: RunningEngine, tmp_path: Path):
    folder = doubler(tmp_path / "doubler", more="replicas: 2\nrequest: {queue_wait: 20s}\n")
    engine.deploy(folder)
    key = engine.key("doubler")
    prober = Prober(lambda _: engine.post("doubler", {"data": [1], "sleep": 0.02}, key=key))
    with prober.running():
        for number in range(3):
            assert engine.cli("scale", "doubler", "--replicas", "1").code == 0
            assert engine.cli("scale", "doubler", "--replicas", "3").code == 0
            doubler(folder, factor=number, more="replicas: 2\nrequest: {queue_wait: 20s}\n")
            engine.deploy(folder)
    assert prober.failures == []
    assert prober.answered > 100


def test_stopping_and_starting_the_engine_brings_the_services_back(engine: RunningEngine, tmp_path: Path):
    engine.deploy(doubler(tmp_path / "doubler"))
    key = engine.key("doubler")
    assert engine.cli("down").code == 0
    assert not engine.home.replicas.exists() or list(engine.home.replicas.iterdir()) == []
    engine.up()
    until(lambda: engine.post("doubler", {"data": [1]}, key=key).status_code == 200)
