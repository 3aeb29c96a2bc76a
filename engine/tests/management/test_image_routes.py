"""What `engine images` asks travels whole, its progress as it comes and its result last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from modelyard.api import CodeRef, NotFound, Progress, ServiceSpec
from modelyard.client import Client

from engine.tests.management.conftest import LOCKED, MOVED, PRUNED, SUMMARY


@pytest.fixture
def spec(tmp_path: Path) -> ServiceSpec:
    (tmp_path / "score.py").write_text("def run(data):\n    return data\n")
    code = CodeRef(source=str(tmp_path), entry="score.py")
    return ServiceSpec(name="digits", code=code, given=frozenset({"name", "code.source", "code.entry"}))


def test_a_list_names_its_registry(served: Any):
    assert served.client.images.list("company") == (SUMMARY,)
    assert served.client.images.list() == (SUMMARY,)
    assert served.engine.asked == [("list", "company"), ("list", "")]


@pytest.mark.parametrize("name", ["abcdef012345", "digits", "digits:3", "why"])
def test_an_image_is_shown_by_any_of_its_names(served: Any, name: str):
    shown = served.client.images.show(name)
    assert (shown.summary, shown.environments[0].lock) == (SUMMARY, "numpy==2.1.0\n")
    assert served.engine.asked == [("show", name)]


def test_why_sends_the_whole_specification(served: Any, spec: ServiceSpec):
    assert served.client.images.why(spec).why == "requirements: +scipy"
    assert served.engine.asked == [("why", spec)]


LONG: dict[str, tuple[Callable[[Client, ServiceSpec, Any], Any], tuple[object, ...], object]] = {
    "lock": (
        lambda c, spec, tell: c.images.lock(spec, platform="linux/arm64", on_progress=tell),
        ("linux/arm64",),
        LOCKED,
    ),
    "refresh": (
        lambda c, spec, tell: c.images.refresh(spec, dry_run=True, expected="f", on_progress=tell),
        ("", True, "f"),
        LOCKED,
    ),
    "pull": (lambda c, _, tell: c.images.pull("a/b:k", key="k", on_progress=tell), ("a/b:k", "k"), MOVED),
    "push": (lambda c, _, tell: c.images.push("k", "company", on_progress=tell), ("k", "company"), MOVED),
    "prune": (
        lambda c, _, tell: c.images.prune(keep_days=7, dry_run=True, on_progress=tell),
        (7.0, True),
        PRUNED,
    ),
}


@pytest.mark.parametrize("verb", LONG)
def test_long_work_tells_its_progress_and_then_its_result(served: Any, spec: ServiceSpec, verb: str):
    call, expected, result = LONG[verb]
    seen: list[Progress[Any]] = []
    assert call(served.client, spec, seen.append) == result
    assert seen == [Progress("copying", 10, 30)]
    (asked,) = served.engine.asked
    assert asked == (verb, *([spec] if verb in ("lock", "refresh") else []), *expected)


@pytest.mark.parametrize("verb", LONG)
def test_what_is_refused_before_it_begins_is_an_error_as_any_other(served: Any, spec: ServiceSpec, verb: str):
    served.engine.failure = NotFound("no such thing", place="p", remedy="r")
    with pytest.raises(NotFound, match="no such thing"):
        LONG[verb][0](served.client, spec, lambda _: None)


def test_a_frozen_deploy_and_a_frozen_plan_say_so(served: Any, spec: ServiceSpec):
    served.client.deploy(spec, frozen=True)
    served.client.plan(spec, frozen=True)
    assert served.engine.asked == [("deploy", spec, True), ("plan", spec, True)]


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("pull", {"referense": "a"}),
        ("push", {"key": "k"}),
        ("prune", {"keep_days": "30"}),
        ("prune", {"keep": 30}),
    ],
)
def test_a_body_that_is_half_understood_is_refused(served: Any, verb: str, body: dict[str, object]):
    transport = httpx.HTTPTransport(uds=str(served.home.controller_socket))
    with httpx.Client(transport=transport, base_url="http://modelyard") as raw:
        answer = raw.post(f"/v1/images/{verb}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "user_error")
    assert served.engine.asked == []


def test_an_interrupted_client_stops_the_work(served: Any):
    def interrupt(_: Progress[Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        served.client.images.push("k", "slow", on_progress=interrupt)
    assert served.engine.abandoned.wait(10)
