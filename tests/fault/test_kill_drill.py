"""kill -9 of everything, one after the other: what serves goes on, what was under way ends well."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
from modelyard.api import ModelyardError

from tests.conftest import ENGINE, SCORE, Prober, RunningEngine, doubler, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

TWO = "replicas: 2\n"


def kill(pid: int | None) -> None:
    assert pid
    os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def controller_pid(engine: RunningEngine) -> int:
    return engine.client.status().pid


def healthy(engine: RunningEngine, *, replicas: int) -> bool:
    try:
        service = engine.client.service("doubler")
    except ModelyardError:
        return False
    ready = [replica for replica in service.replicas if replica.phase.value == "ready"]
    return (len(ready) == replicas and service.operation is None) or (
        len(ready) == replicas and service.operation is not None and service.operation.finished
    )


def settled_on_one_revision(engine: RunningEngine) -> bool:
    if not healthy(engine, replicas=1):
        return False
    service = engine.client.service("doubler")
    return {replica.revision for replica in service.replicas} == {service.revision}


def answers(engine: RunningEngine, key: str, factor: int = 2) -> bool:
    try:
        answer = engine.post("doubler", {"data": [1]}, key=key, timeout_s=5)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200 and answer.json() == [factor]


@pytest.fixture
def serving(engine: RunningEngine, tmp_path: Path) -> RunningEngine:
    engine.deploy(doubler(tmp_path / "doubler", more=TWO))
    return engine


def test_while_the_controller_is_dead_requests_are_answered_and_up_adopts_what_runs(serving: RunningEngine):
    key = serving.key("doubler")
    before = {replica.pid for replica in serving.client.service("doubler").replicas}
    pid = controller_pid(serving)
    prober = Prober(lambda _: serving.post("doubler", {"data": [1]}, key=key))
    with prober.running():
        kill(pid)
        until(lambda: not alive(pid))
        until(lambda: prober.answered > 50)
        serving.up()
        until(lambda: healthy(serving, replicas=2))
    assert prober.failures == []
    assert {replica.pid for replica in serving.client.service("doubler").replicas} == before


def test_a_killed_replica_is_replaced(serving: RunningEngine):
    key = serving.key("doubler")
    victim = serving.client.service("doubler").replicas[0]
    kill(victim.pid)
    until(lambda: answers(serving, key))
    until(lambda: victim.pid not in {r.pid for r in serving.client.service("doubler").replicas}, seconds=30)
    until(lambda: healthy(serving, replicas=2), seconds=30)


def test_a_killed_router_serves_again_from_its_snapshot(serving: RunningEngine):
    key = serving.key("doubler")
    pid = serving.client.status().router.pid
    kill(pid)
    until(lambda: answers(serving, key), seconds=15)
    assert serving.client.status().router.pid != pid


@pytest.mark.slow
def test_a_router_restarted_with_a_dead_controller_serves(serving: RunningEngine):
    key = serving.key("doubler")
    controller, router = controller_pid(serving), serving.client.status().router.pid
    kill(controller)
    kill(router)
    home = serving.home
    parent = subprocess.Popen(
        [
            *(str(ENGINE.parent / "python"), "-m", "modelyard.router", str(home.router_run)),
            *("--state", str(home.router_state), "--log", str(home.logs / "router.log")),
            *("--upstream", str(home.xds_socket)),
        ],
        env=serving.environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: answers(serving, key), seconds=5)
    serving.up()
    until(lambda: healthy(serving, replicas=2))
    assert serving.client.status().router.pid == parent.pid
    assert serving.cli("down").code == 0
    parent.wait(timeout=20)


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", ["snapshot", "environment", "place", "start", "ready", "route", "drain", "finish"]
)
def test_a_deploy_whose_controller_dies_at_any_step_ends_in_one_whole_version(
    home_folder: Path, environments: Path, tmp_path: Path, step: str
):
    from tests.conftest import engine_at

    with engine_at(home_folder / "home", environments) as engine:
        engine.up()
        folder = doubler(tmp_path / "doubler")
        engine.deploy(folder)
        key = engine.key("doubler")
        assert engine.cli("down", "--keep-replicas").code == 0
        engine.environment["MODELYARD_FAILPOINT"] = f"deploy.{step}:kill"
        engine.up()
        pid = controller_pid(engine)
        doubler(folder, factor=3)
        assert engine.cli("deploy", folder).code != 0
        until(lambda: not alive(pid))
        assert engine.post("doubler", {"data": [1]}, key=key).json() in ([2], [3])
        del engine.environment["MODELYARD_FAILPOINT"]
        engine.up()
        until(lambda: settled_on_one_revision(engine), seconds=40)
        service = engine.client.service("doubler")
        assert answers(engine, key, 2 if service.revision == 1 else 3)
        on_disk = {entry.name for entry in engine.home.replicas.iterdir()}
        assert on_disk == {replica.id for replica in service.replicas}


def test_two_deploys_of_one_service_at_once_end_in_one_clear_conflict(engine: RunningEngine, tmp_path: Path):
    gate = tmp_path / "gate"
    waits = f"import time, pathlib\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.02)\n"
    first = doubler(tmp_path / "one", score=waits + SCORE)
    second = doubler(tmp_path / "two", factor=5, score=waits + SCORE)
    runs = [
        subprocess.Popen(
            [str(ENGINE), "deploy", str(folder), "--json"],
            env=engine.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for folder in (first, second)
    ]
    until(lambda: any(run.poll() is not None for run in runs), seconds=60)
    gate.touch()  # not before: a deploy that had ended would be in nobody's way
    outcomes = [(*run.communicate(timeout=60), run.returncode) for run in runs]
    assert sorted(code for _, _, code in outcomes) == [0, 1], outcomes
    (out, err) = next((out, err) for out, err, code in outcomes if code == 1)
    text = out + err
    assert "conflict" in text
    assert json.dumps("doubler")[1:-1] in text
