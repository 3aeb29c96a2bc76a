"""Models that come and go, behind a router that spreads requests over replicas: each loads for itself."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import attrs
import httpx
import pytest

from tests.conftest import Prober, RunningEngine, engine_at, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

MODELS = ("one", "two", "three")
SCRIPT = """
import json, os, pathlib

def init():
    global told
    (file,) = pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).iterdir()
    told = json.loads(file.read_text())

def run(data):
    return {"told": told, "server": os.getppid()}
"""


@attrs.frozen
class Many:
    """A service of several models on two replicas."""

    engine: RunningEngine
    headers: dict[str, str]

    def score(self, model: str) -> httpx.Response:
        headers = {**self.headers, "modelyard-model": model}
        return httpx.post(self.engine.url("many"), content="", headers=headers, timeout=30)

    def checked(self, model: str) -> httpx.Response:
        """Score, and see that the model itself has answered."""
        answer = self.score(model)
        assert answer.status_code != httpx.codes.OK or answer.json()["told"] == model
        return answer

    def patiently(self, model: str) -> httpx.Response:
        """Score as one may who does not mind scoring twice."""
        answer = self.checked(model)
        return answer if answer.status_code == httpx.codes.OK else self.checked(model)

    def server(self, model: str) -> int:
        """Score, and return the server under which the model ran."""
        answer = self.patiently(model)
        assert answer.status_code == httpx.codes.OK, answer.text
        return int(answer.json()["server"])

    def move(self, verb: str, model: str) -> int:
        url = f"http://127.0.0.1:{self.engine.port}/v2/repository/models/{model}/{verb}"
        return httpx.post(url, json={}, headers=self.headers, timeout=30).status_code

    def both(self, *others: int) -> set[int]:
        """Score until every model was answered by two servers, not counting the others; return all."""
        servers: defaultdict[str, set[int]] = defaultdict(set)

        def seen() -> bool:
            for model in MODELS:
                servers[model].add(self.server(model))
            return all(len(servers[model].difference(others)) == 2 for model in MODELS)

        until(seen)
        return servers["one"]


@pytest.fixture(scope="module")
def many(environments: Path) -> Iterator[Many]:
    base = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    folder = base / "many"
    folder.mkdir()
    (folder / "score.py").write_text(SCRIPT)
    for name in MODELS:
        (folder / f"{name}.json").write_text(f'"{name}"')
    listed = ", ".join(f"{{name: {name}, path: {name}.json}}" for name in MODELS)
    (folder / "engine.yaml").write_text(
        f"name: many\ncode: {{entry: score.py}}\nmodels: [{listed}]\nreplicas: 2\n"
        "request: {queue_wait: 20s}\nmulti_model: {enabled: true, memory: 512Mi}\n"
    )
    with engine_at(base / "home", environments) as engine:
        engine.up()
        engine.deploy(folder)
        bearer = {"authorization": f"Bearer {engine.key('many')}", "modelyard-service": "many"}
        yield Many(engine, bearer)
    shutil.rmtree(base, ignore_errors=True)


def test_every_model_answers_for_itself_whichever_replica_is_reached(many: Many):
    assert len(many.both()) == 2


def test_loading_and_unloading_at_one_replica_costs_no_request_anywhere(many: Many):
    with Prober(lambda number: many.checked(MODELS[number % len(MODELS)]), threads=3).running() as prober:
        told = [many.move(verb, model) for _ in range(3) for model in MODELS for verb in ("unload", "load")]
        until(lambda: prober.answered > 30)
    assert set(told) == {200}
    assert prober.failures == []


def test_a_killed_replica_loses_nothing_that_is_asked_again(many: Many):
    killed = many.server("one")
    with Prober(lambda number: many.patiently(MODELS[number % len(MODELS)]), threads=3).running() as prober:
        until(lambda: prober.answered > 10)
        os.kill(killed, signal.SIGKILL)
        assert len(many.both(killed) - {killed}) == 2
    assert prober.failures == []
