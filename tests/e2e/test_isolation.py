"""A script in processes of its own: its own packages, its own Python, and a crash that costs one request."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from modelyard.api import EnvironmentUnsolvable
from modelyard.environments import find_interpreter
from modelyard_runtime.contract import read_contract

from tests.conftest import RunningEngine, doubler, engine_at, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

WHERE = """
import os, sys, time
import protobuf

def init():
    pass

def run(data):
    time.sleep(float(data or 0))
    return {"python": sys.version.split()[0], "protobuf": protobuf.VERSION, "pid": os.getpid()}
"""
PID = "import os, time\ndef init():\n    pass\ndef run(data):\n    time.sleep(float(data))\n    return os.getpid()\n"


def old_protobuf(folder: Path) -> None:
    """A package whose version the runtime cannot live with, as a wheel that needs no network."""
    info = "protobuf-3.1.dist-info"
    files = {
        "protobuf/__init__.py": "VERSION = '3.1'\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: protobuf\nVersion: 3.1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / "protobuf-3.1-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)


@pytest.fixture(scope="module")
def engine(environments: Path) -> Iterator[RunningEngine]:
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    (folder / "wheels").mkdir()
    old_protobuf(folder / "wheels")
    with engine_at(folder / "home", environments) as running:
        running.environment["UV_FIND_LINKS"] = str(folder / "wheels")
        running.up()
        yield running
    shutil.rmtree(folder, ignore_errors=True)


def service(folder: Path, name: str, score: str, more: str = "") -> Path:
    folder.mkdir()
    (folder / "score.py").write_text(score)
    (folder / "engine.yaml").write_text(f"name: {name}\ncode: {{entry: score.py}}\n{more}")
    return folder


def score(engine: RunningEngine, name: str, body: str = "0", key: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {key or engine.key(name)}"}
    return httpx.post(engine.url(name), content=body, headers=headers, timeout=30)


def test_packages_that_meet_the_runtimes_get_a_process_and_the_plan_says_why(
    engine: RunningEngine, tmp_path: Path
):
    folder = service(
        tmp_path / "apart", "apart", WHERE, "environment: {requirements: ['protobuf==3.1']}\nreplicas: 1\n"
    )
    plan = engine.cli("plan", folder, "--json").json
    (isolation,) = [one["value"] for one in plan["settings"] if one["key"] == "isolation"]
    assert isolation.startswith("auto: process (your `protobuf==3.1` meets the runtime's `protobuf>=")
    engine.deploy(folder)
    assert score(engine, "apart").json()["protobuf"] == "3.1"
    again = engine.cli("plan", folder, "--json").json
    assert (again["changes"], again["environment_cached"]) == ([], True)


def test_a_thread_that_was_asked_for_is_refused_with_the_way_out(engine: RunningEngine, tmp_path: Path):
    folder = service(
        tmp_path / "bound",
        "bound",
        WHERE,
        "environment: {requirements: ['protobuf==3.1']}\nisolation: thread\n",
    )
    failed = engine.cli("deploy", folder)
    assert failed.code == 1
    assert "your `protobuf==3.1` meets the runtime's" in failed.err
    assert "isolation: process" in failed.err


@pytest.mark.parametrize("python", ["3.8", "3.9"])
def test_a_script_runs_under_a_python_that_the_server_could_not(
    engine: RunningEngine, tmp_path: Path, python: str
):
    try:
        find_interpreter(python, serving=False)
    except EnvironmentUnsolvable as error:
        pytest.skip(str(error))
    name = f"py{python.replace('.', '')}"
    folder = service(
        tmp_path / name,
        name,
        WHERE,
        f"environment: {{python: '{python}', requirements: ['protobuf==3.1']}}\nreplicas: 1\n",
    )
    engine.deploy(folder)
    assert score(engine, name).json()["python"].startswith(f"{python}.")
    settings = {one.key: one.value for one in engine.client.service(name).settings}
    assert settings["isolation"] == f"auto: process (Python {python} cannot run the server)"


def test_services_with_processes_share_one_environment_of_the_server(engine: RunningEngine, tmp_path: Path):
    for name, more in (("one", "environment: {requirements: ['protobuf==3.1']}\n"), ("two", "")):
        engine.deploy(service(tmp_path / name, name, PID, f"{more}isolation: process\nscaling: {{max: 1}}\n"))
    replicas = [replica for name in ("one", "two") for replica in engine.client.service(name).replicas]
    argv = [Path(f"/proc/{replica.pid}/cmdline").read_bytes().split(b"\0")[0] for replica in replicas]
    contracts = [read_contract(engine.home.replicas / replica.id / "start.json") for replica in replicas]
    assert len(set(argv)) == 1
    assert len({contract.worker_python for contract in contracts}) == 2


def test_a_worker_that_is_killed_costs_at_most_its_own_request(engine: RunningEngine, tmp_path: Path):
    more = "workers: 2\nrequest: {max_concurrent: 2, queue_wait: 20s}\nscaling: {max: 1}\n"
    engine.deploy(service(tmp_path / "pair", "pair", PID, more))
    key = engine.key("pair")
    with ThreadPoolExecutor(8) as threads:
        pids = {
            answer.json() for answer in threads.map(lambda _: score(engine, "pair", "0.2", key), range(8))
        }
        assert len(pids) == 2
        asked = [threads.submit(score, engine, "pair", "0.2", key) for _ in range(24)]
        until(lambda: any(one.done() for one in asked))
        os.kill(min(pids), signal.SIGKILL)
        answers = [one.result() for one in asked]
    failed = [answer for answer in answers if answer.status_code != 200]
    assert len(failed) <= 1, [answer.text for answer in failed]
    assert {answer.status_code for answer in failed} <= {500, 502}

    def both_again() -> bool:
        with ThreadPoolExecutor(4) as threads:
            found = {one.json() for one in threads.map(lambda _: score(engine, "pair", "0.1", key), range(4))}
        return len(found) == 2 and min(pids) not in found

    until(both_again)
    (replica,) = engine.client.service("pair").replicas
    assert replica.restarts == 0


def test_nothing_of_a_service_with_workers_is_left_when_it_is_deleted(engine: RunningEngine, tmp_path: Path):
    engine.deploy(service(tmp_path / "gone", "gone", PID, "isolation: process\nscaling: {max: 1}\n"))
    pid = score(engine, "gone", "0").json()
    assert Path(f"/proc/{pid}").exists()
    assert engine.cli("delete", "gone").code == 0
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_the_model_lies_where_v1_put_it_for_workers_too(engine: RunningEngine, tmp_path: Path):
    engine.deploy(doubler(tmp_path / "doubler", more="isolation: process\nscaling: {max: 1}\n"))
    assert engine.post("doubler", {"data": [1, 2]}).json() == [2, 4]
    (replica,) = engine.client.service("doubler").replicas
    contract = read_contract(engine.home.replicas / replica.id / "start.json")
    assert contract.model_dir == f"{contract.app_root}/azureml-models/factor/1"
    assert [(one.name, one.version, one.path) for one in contract.models] == [
        ("factor", "1", contract.model_dir)
    ]
    assert [one.name for one in Path(contract.model_dir).iterdir()] == ["factor.json"]
