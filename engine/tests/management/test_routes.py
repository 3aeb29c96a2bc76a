from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from modelyard.api import (
    CodeRef,
    Conflict,
    ModelyardError,
    NotFound,
    OperationState,
    PluginFailed,
    Refusal,
    Refused,
    Secret,
    ServiceSpec,
    SpecError,
    StoreDamaged,
    SystemError_,
    Unavailable,
    UserError,
)
from modelyard.client import Client
from modelyard.client.requests import ShutdownRequest

CALLS: dict[str, tuple[Callable[[Client], object], tuple[object, ...]]] = {
    "status": (lambda c: c.status(), ("status",)),
    "plugins": (lambda c: c.plugins(), ("plugins",)),
    "devices": (lambda c: c.devices(), ("devices",)),
    "doctor": (lambda c: c.doctor(), ("doctor",)),
    "services": (lambda c: c.services(), ("services",)),
    "service": (lambda c: c.service("digits"), ("service", "digits")),
    "scaling": (lambda c: c.scaling("digits"), ("scaling", "digits")),
    "keys": (lambda c: c.keys("digits"), ("keys", "digits")),
    "operation": (lambda c: c.operation("op-1"), ("operation", "op-1")),
    "cancel": (lambda c: c.cancel("op-1"), ("cancel", "op-1")),
    "delete": (lambda c: c.delete("digits"), ("delete", "digits")),
    "rollback": (lambda c: c.rollback("digits", 1), ("rollback", "digits", 1)),
    "rollback to the last": (lambda c: c.rollback("digits"), ("rollback", "digits", None)),
    "scale": (lambda c: c.scale("digits", minimum=1, maximum=3), ("scale", "digits", 1, 3, None)),
    "scale fixed": (lambda c: c.scale("digits", replicas=2), ("scale", "digits", None, None, 2)),
    "rotate": (lambda c: c.rotate_key("digits", "primary"), ("rotate_key", "digits", "primary", None)),
    "rotate to a value": (
        lambda c: c.rotate_key("digits", "secondary", Secret("x" * 32)),
        ("rotate_key", "digits", "secondary", Secret("x" * 32)),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_reaches_the_engine_with_its_arguments(served: Any, name: str) -> None:
    call, expected = CALLS[name]
    call(served.client)
    assert served.engine.asked[-1] == expected


@pytest.mark.parametrize(
    "name", ["status", "plugins", "devices", "doctor", "services", "service", "scaling", "keys"]
)
def test_the_client_gives_the_very_value_the_engine_gave(served: Any, name: str) -> None:
    import asyncio
    import inspect

    call, (method, *arguments) = CALLS[name]
    direct = getattr(served.engine, str(method))(*arguments)
    if inspect.iscoroutine(direct):
        direct = asyncio.run(direct)
    assert call(served.client) == direct


@pytest.fixture
def spec(tmp_path: Path) -> ServiceSpec:
    (tmp_path / "score.py").write_text("def run(data):\n    return data\n")
    return ServiceSpec(
        name="digits",
        code=CodeRef(source=str(tmp_path), entry="score.py"),
        description="ziffern \u00fc",
        given=frozenset({"name", "description", "code.source", "code.entry"}),
    )


def test_a_deployed_specification_arrives_whole(served: Any, spec: ServiceSpec) -> None:
    assert served.client.deploy(spec).service == "digits"
    assert served.engine.asked == [("deploy", spec, False)]


def test_a_planned_specification_arrives_whole(served: Any, spec: ServiceSpec) -> None:
    assert served.client.plan(spec).changes == ("code",)
    assert served.engine.asked == [("plan", spec, False)]


def test_an_unknown_key_of_a_specification_is_refused_with_its_finding(
    served: Any, raw: httpx.Client
) -> None:
    answer = raw.post("/v1/services", json={"name": "digits", "replcas": 2})
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_spec"
    assert any("replcas" in str(finding) for finding in answer.json()["details"])
    assert served.engine.asked == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/services/digits/scale", {"replica": 2}),
        ("/v1/services/digits/scale", {"replicas": "2"}),
        ("/v1/services/digits/scale", {"replicas": True}),
        ("/v1/services/digits/keys", {"slot": "tertiary"}),
        ("/v1/services/digits/keys", {}),
        ("/v1/services/digits/rollback", {"revision": 1.5}),
        ("/v1/shutdown", {"stop_replica": True}),
    ],
)
def test_a_body_that_is_half_understood_is_refused(
    served: Any, raw: httpx.Client, path: str, body: dict[str, object]
) -> None:
    answer = raw.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "user_error")
    assert answer.json()["remedy"]
    assert served.engine.asked == []
    assert served.stops == []


REFUSED = Refused((Refusal("cpu", "cpu_short", "too little", "ask for less", {"free_millicores": 5.0}),))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UserError("u", place="p", remedy="r"), 400),
        (NotFound("n", place="p", remedy="r"), 404),
        (Conflict("c", place="p", remedy="r"), 409),
        (SpecError([{"key": "name", "message": "m"}], place="engine.yaml"), 422),
        (REFUSED, 422),
        (Unavailable("a", place="p", remedy="r"), 503),
        (SystemError_("s", place="p", remedy="r"), 500),
        (StoreDamaged("d", place="p", remedy="r"), 500),
        (PluginFailed("gpu", "discover", "hung"), 500),
    ],
)
def test_an_error_arrives_as_the_class_that_was_raised(
    served: Any, raw: httpx.Client, error: ModelyardError, status: int
) -> None:
    served.engine.failure = error
    with pytest.raises(type(error)) as caught:
        served.client.status()
    assert type(caught.value) is type(error)
    assert (str(caught.value), caught.value.details()) == (str(error), error.details())
    assert vars(caught.value).keys() == vars(error).keys()
    answer = raw.get("/v1/status")
    assert answer.status_code == status
    assert answer.json().keys() == {"code", "message", "place", "remedy", "details"}
    assert ("retry-after" in answer.headers) is error.retryable


def test_a_fault_of_ours_shows_no_traceback_and_no_message_of_its_own(served: Any, raw: httpx.Client) -> None:
    served.engine.failure = RuntimeError("password=hunter2")
    answer = raw.get("/v1/status")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("PUT", "/v1/status", 405, "method_not_allowed"),
        ("GET", "/v1/services/digits/logs?lines=-1", 400, "bad_request"),
        ("GET", "/v1/services/other", 404, "not_found"),
        ("GET", "/v1/services/other/logs", 404, "not_found"),
        ("GET", "/v1/operations/unknown/events", 404, "not_found"),
    ],
)
def test_what_is_not_there_has_the_same_error_body(
    raw: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = raw.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_body_that_is_not_json_is_a_bad_request(raw: httpx.Client) -> None:
    assert raw.post("/v1/services", content=b"{no").json()["code"] == "bad_request"


def test_a_body_over_the_limit_is_refused(raw: httpx.Client) -> None:
    assert raw.post("/v1/services", content=b'"' + b"x" * 5_000_000 + b'"').status_code == 413


def test_a_request_from_a_web_page_is_refused_whatever_it_asks(served: Any, raw: httpx.Client) -> None:
    for path in ("/v1/status", "/schema/openapi.json", "/nothing"):
        answer = raw.get(path, headers={"origin": "http://evil.example"})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert served.engine.asked == []


def test_shutdown_says_what_is_to_stop(served: Any) -> None:
    served.client.shutdown(stop_replicas=False, stop_router=True)
    assert served.stops == [ShutdownRequest(stop_replicas=False, stop_router=True)]


def test_openapi_describes_every_route(raw: httpx.Client) -> None:
    paths = raw.get("/schema/openapi.json").json()["paths"]
    assert len([path for path in paths if path.startswith("/v1/")]) == 25
    assert {"get", "post"} <= paths["/v1/services"].keys()


def test_logs_come_line_by_line_with_what_was_asked(served: Any) -> None:
    lines = served.client.logs("digits", replica="digits-r2-abcdef", lines=5, follow=True)
    assert list(lines) == ["first", "zweite Zeile \u00fc"]
    assert served.engine.asked[-1] == ("logs", "digits", "digits-r2-abcdef", 5, True)


def test_an_error_in_the_middle_of_a_stream_is_raised_after_what_came_before(served: Any) -> None:
    lines = served.client.logs("digits", replica="gone")
    assert [next(lines), next(lines)] == ["first", "zweite Zeile \u00fc"]
    with pytest.raises(NotFound, match="no such replica"):
        next(lines)


def test_watch_yields_each_change_until_the_end(served: Any) -> None:
    states = [operation.state for operation in served.client.watch("op-1")]
    assert states == [OperationState.RUNNING, OperationState.SUCCEEDED]


def test_a_watcher_that_goes_away_is_noticed(served: Any) -> None:
    served.engine.events = (OperationState.RUNNING,)
    watching = served.client.watch("op-1")
    next(watching)
    watching.close()
    served.client.close()
    assert served.engine.abandoned.wait(10)


def test_wait_gives_up_in_time_while_the_operation_is_silent(served: Any) -> None:
    served.engine.events = (OperationState.RUNNING,)
    with pytest.raises(Unavailable, match="still running"):
        served.client.wait("op-1", timeout_seconds=0.2)


def test_wait_tells_each_change_and_returns_the_end(served: Any) -> None:
    seen: list[OperationState] = []
    ended = served.client.wait("op-1", on_change=lambda operation: seen.append(operation.state))
    assert ended.state is OperationState.SUCCEEDED
    assert seen == [OperationState.RUNNING, OperationState.SUCCEEDED]


@pytest.fixture
def raw(served: Any) -> Any:
    transport = httpx.HTTPTransport(uds=str(served.home.controller_socket))
    with httpx.Client(transport=transport, base_url="http://modelyard") as client:
        yield client
