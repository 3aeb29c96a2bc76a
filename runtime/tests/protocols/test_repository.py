"""The model repository over REST: what is listed, in which state, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from modelyard_runtime.contract import ModelEntry
from modelyard_runtime.pairing import DRAIN_PATH

SCRIPT = "def init(): pass\ndef run(data): return data\n"
FAILING = "def init(): raise ValueError('no weights')\ndef run(data): return data\n"
INDEX = "/v2/repository/index"


def ask(path: str = INDEX, body: Any = b"", method: str = "POST") -> Any:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def scenario(client: Any) -> Any:
        return await client.ask(method, path, sent)

    return scenario


async def ask_after_a_drain(client: Any) -> Any:
    await client.ask("POST", DRAIN_PATH, b"")
    return await ask()(client)


def entry(name: str, version: str, state: str = "READY", reason: str = "") -> dict[str, str]:
    return {"name": name, "version": version, "state": state, "reason": reason}


@pytest.mark.parametrize("body", [b"", {}, {"ready": True}, {"ready": False, "repository_name": ""}])
def test_every_version_of_every_model_is_listed(serve: Any, body: Any):
    models = tuple(ModelEntry(name="m", version=version, path="/nowhere") for version in ("1", "2"))
    reply = serve(SCRIPT, ask(body=body), models=models)
    assert reply.json == [entry("digits", "3"), entry("m", "1"), entry("m", "2")]


def test_a_script_that_failed_leaves_its_model_unavailable_with_the_cause(serve: Any):
    (listed,) = serve(FAILING, ask()).json
    assert listed["state"] == "UNAVAILABLE"
    assert "no weights" in listed["reason"]


def test_a_model_is_loading_until_init_has_finished(serve: Any):
    slow = "import time\ndef init(): time.sleep(1)\ndef run(data): return data\n"
    reply = serve(slow, ask(), wait=False)
    assert reply.json == [entry("digits", "3", "LOADING", "init() has not finished yet")]


def test_nothing_is_listed_where_only_ready_models_are_asked_for_and_none_is(serve: Any):
    assert serve(FAILING, ask(body={"ready": True})).json == []


def test_a_draining_replica_has_no_ready_model(serve: Any):
    reply = serve(SCRIPT, ask_after_a_drain)
    assert reply.json == [entry("digits", "3", "UNAVAILABLE", "this replica is draining")]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        ([], "object"),
        ({"ready": 1}, "true or false"),
        ({"repository_name": 1}, "text"),
        ({"repository_name": "other"}, "leave the name out"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_with_the_mistake(serve: Any, body: Any, word: str):
    reply = serve(SCRIPT, ask(body=body))
    assert reply.status == 400
    assert word in reply.json["message"]


@pytest.mark.parametrize("path", ["models/digits/load", "models/m/unload", "models/m/versions/2/load"])
def test_loading_by_name_is_refused_with_a_remedy(serve: Any, path: str):
    reply = serve(SCRIPT, ask(f"/v2/repository/{path}"))
    assert reply.status == 501
    assert "set multi_model.enabled" in reply.json["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "index", 405),
        ("GET", "models/digits/load", 405),
        ("POST", "load", 404),
        ("POST", "models/digits", 404),
        ("POST", "models/digits/infer", 404),
    ],
)
def test_other_paths_and_methods_are_refused(serve: Any, method: str, path: str, status: int):
    assert serve(SCRIPT, ask(f"/v2/repository/{path}", method=method)).status == status
