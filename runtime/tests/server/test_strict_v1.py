"""`compat: strict-v1` beside its answers, which tests/conformance compares: what it must leave alone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.contract import StartContract
from modelyard_runtime.pairing import BY_PYTHON
from modelyard_runtime.server.v1_words import CorsAsV1, name

from runtime.tests.behaviour.replicas import Replica, Reply, by_envoy, replica

SCRIPT = """
import os, sys

def init():
    pass

def run(data):
    return os.getpid() if data != "leave" else sys.exit(3)
"""


@pytest.fixture(scope="module", params=["thread", "process"])
def strict(request: pytest.FixtureRequest) -> Iterator[Replica]:
    with replica(
        SCRIPT, compat="strict-v1", isolation=request.param, cors_origins=("https://a.example",)
    ) as running:
        running.ready().until(lambda: by_envoy(running))
        yield running


def told(reply: Reply) -> tuple[int, list[tuple[str, str]], bytes]:
    new = ("x-request-id", "x-ms-request-id", "date")
    return (
        reply.status,
        sorted((key, "" if key in new else value) for key, value in reply.headers),
        reply.body,
    )


def test_envoy_answers_health_in_the_very_words_of_python(strict: Replica):
    by_python = strict.ask("GET", "/", headers={BY_PYTHON: "yes"})
    assert told(strict.ask("GET", "/")) == told(by_python)
    assert by_python.header("x-ms-server-version") == "azmlinfsrv/1.5.1"


def test_a_run_that_leaves_costs_nobody_its_worker(strict: Replica):
    before = strict.ask("POST", "/score", b"x").body
    assert b"<html>" in strict.ask("POST", "/score", b"leave").body
    assert strict.ask("POST", "/score", b"x").body == before


@pytest.mark.parametrize("path", ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/digits"])
def test_paths_that_v1_did_not_have_do_not_bear_its_name(strict: Replica, path: str):
    reply = strict.ask("GET", path)
    assert (reply.status, reply.header("x-ms-server-version")) == (200, "")


def test_errors_of_paths_that_v1_did_not_have_keep_the_one_body(strict: Replica):
    assert list(json.loads(strict.ask("GET", "/v2/models/none").body)) == ["code", "message", "request_id"]


def contract(**variables: str) -> StartContract:
    folders = dict.fromkeys(("run_dir", "log_dir", "code_dir"), "/nowhere")
    return StartContract(
        service="digits", revision=1, replica="r", entry="score.py", variables=variables, **folders
    )


@pytest.mark.parametrize(("said", "names"), [("true", 1), ("TRUE", 1), ("false", 0), ("0", 0), ("", 0)])
def test_only_true_leaves_v1s_name_on(said: str, names: int):
    assert len(name(contract(SERVER_VERSION_LOG_RESPONSE_ENABLED=said))) == names


ORIGINS = st.sampled_from(["https://a.example", "https://b.example", "http://c.example:81"])


@given(st.lists(ORIGINS, unique=True), ORIGINS)
def test_just_the_listed_origins_are_told_so(listed: list[str], origin: str):
    told = dict(CorsAsV1(listed).headers({b"origin": origin.encode()}, "POST"))
    assert told.get(b"access-control-allow-origin") == (origin.encode() if origin in listed else None)


@given(st.lists(ORIGINS, unique=True), ORIGINS)
def test_only_a_choice_among_origins_varies(listed: list[str], origin: str):
    told = dict(CorsAsV1(listed).headers({b"origin": origin.encode()}, "GET"))
    assert (b"vary" in told) == (origin in listed and len(listed) > 1)
