"""`/score`, health, ids and errors, straight at the ASGI application."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from modelyard_runtime.scoring import processes

ECHO = "import json\ndef init(): pass\ndef run(data): return json.loads(data)\n"


def script(body: str) -> str:
    return f"def init(): pass\ndef run(data):\n    {body}\n"


def ask(method: Any, path: Any, body: Any = b"", **more: Any) -> Any:
    async def scenario(client: Any) -> Any:
        return await client.ask(method, path, body, **more)

    return scenario


def test_a_body_reaches_run_as_text_and_the_answer_is_json(serve: Any):
    reply = serve(script("return [type(data).__name__, data]"), ask("POST", "/score", "caf\xe9".encode()))
    assert (reply.status, reply.json) == (200, ["str", "caf\xe9"])
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-ms-run-function-failed"] == "False"
    assert float(reply.headers["x-ms-run-fn-exec-ms"]) >= 0


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("None", b"{}"),
        ("'text'", b'"text"'),
        ("(1, 2)", b"[1,2]"),
        ("{1: 2}", b'{"1":2}'),
        ("float('nan')", b"null"),
        ("__import__('numpy').arange(4).reshape(2, 2).T", b"[[0,2],[1,3]]"),
        ("__import__('numpy').float32(0.5)", b"0.5"),
    ],
)
def test_what_run_returns_is_written_as_v1_wrote_it(serve: Any, result: Any, expected: Any):
    assert serve(script(f"return {result}"), ask("POST", "/score")).body == expected


@pytest.mark.parametrize("result", ["{1, 2}", "b'x'", "object()"])
def test_a_result_json_cannot_carry_is_a_500_that_names_its_type(serve: Any, result: Any):
    reply = serve(script(f"return {result}"), ask("POST", "/score"))
    assert (reply.status, reply.json["code"]) == (500, "ResultUnusable")
    assert type(eval(result)).__name__ in reply.json["message"]  # noqa: S307
    assert reply.headers["x-ms-run-function-failed"] == "True"


@pytest.mark.parametrize("body", ["raise ValueError('secret row 7')", "raise SystemExit(3)"])
def test_a_run_that_raises_is_a_500_without_its_text(serve: Any, body: Any):
    reply = serve(script(body), ask("POST", "/score"))
    assert (reply.status, reply.json["code"]) == (500, "ScoringFailed")
    assert b"secret" not in reply.body
    assert reply.headers["x-ms-run-function-failed"] == "True"
    assert "x-ms-run-fn-exec-ms" not in reply.headers


def test_request_headers_reach_a_run_that_asks_for_them(serve: Any):
    source = "def init(): pass\ndef run(data, request_headers): return request_headers['X-Team']\n"
    assert serve(source, ask("POST", "/score", headers={"x-team": "blue"})).json == "blue"


def test_an_async_script_runs_on_one_loop_of_its_own(serve: Any):
    source = (
        "import asyncio\nasync def init():\n    global loop; loop = asyncio.get_running_loop()\n"
        "async def run(data):\n    await asyncio.sleep(0)\n    return loop is asyncio.get_running_loop()\n"
    )
    assert serve(source, ask("POST", "/score")).json is True


def test_a_query_reaches_run_as_json_with_values_parsed(serve: Any):
    reply = serve(ECHO, ask("GET", "/score", query="a=1&b=x&b=2.5&c="))
    assert reply.json == {"a": 1, "b": ["x", 2.5], "c": ""}


def test_text_that_is_not_utf8_is_a_400(serve: Any):
    reply = serve(ECHO, ask("POST", "/score", b"\xff"))
    assert (reply.status, reply.json["code"]) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("PUT", "/score", 405, "MethodNotAllowed"),
        ("POST", "/", 405, "MethodNotAllowed"),
        ("GET", "/score/", 404, "NotFound"),
        ("GET", "/nope", 404, "NotFound"),
        ("POST", "/v2", 405, "MethodNotAllowed"),
        ("GET", "/v2/models/other", 404, "NotFound"),
        ("GET", "/v2/models/digits/versions/9/ready", 404, "NotFound"),
        ("GET", "/modelyard/drain", 405, "MethodNotAllowed"),
    ],
)
def test_wrong_paths_and_methods_have_the_one_error_body(
    serve: Any, method: Any, path: Any, status: Any, code: Any
):
    reply = serve(ECHO, ask(method, path, headers={"x-request-id": "me"}))
    assert (reply.status, reply.json["code"], reply.json["request_id"]) == (status, code, "me")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"x-request-id": "A"}, ("A", "A", None)),
        ({"x-request-id": "A", "x-ms-request-id": "B"}, ("A", "B", "B")),
        ({"x-request-id": "A", "x-ms-client-request-id": "C"}, ("A", "C", "C")),
        ({"x-request-id": "A", "x-ms-request-id": "B", "x-ms-client-request-id": "C"}, ("A", "B", "C")),
    ],
)
def test_request_ids_follow_the_table_of_v1(serve: Any, sent: Any, expected: Any):
    told = serve(ECHO, ask("POST", "/score", b"1", headers=sent)).headers
    names = ("x-request-id", "x-ms-request-id", "x-ms-client-request-id")
    assert tuple(told.get(name) for name in names) == expected


def test_a_request_without_an_id_gets_one(serve: Any):
    told = serve(ECHO, ask("POST", "/score", b"1")).headers
    assert len(told["x-request-id"]) == 36
    assert told["x-ms-request-id"] == told["x-request-id"]


@pytest.mark.parametrize("name", ["x-request-id", "x-ms-request-id", "x-ms-client-request-id"])
def test_an_id_over_100_characters_is_a_431(serve: Any, name: Any):
    reply = serve(ECHO, ask("POST", "/score", b"1", headers={name: "i" * 101}))
    assert reply.status == 431
    assert name in reply.json["message"]


@pytest.mark.parametrize("body", [b"x" * 11, [b"x" * 6, b"x" * 5]])
def test_a_body_over_the_limit_is_a_413_counted_while_it_comes(serve: Any, body: Any):
    reply = serve(ECHO, ask("POST", "/score", body), max_body_bytes=10)
    assert (reply.status, reply.json["code"]) == (413, "PayloadTooLarge")


def test_an_announced_length_over_the_limit_is_refused_unread(serve: Any):
    reply = serve(ECHO, ask("POST", "/score", b"1", headers={"content-length": "11"}), max_body_bytes=10)
    assert reply.status == 413


def test_a_body_of_exactly_the_limit_is_served(serve: Any):
    assert serve(ECHO, ask("POST", "/score", [b"[1,2,", b"3,4]"]), max_body_bytes=9).json == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("version", "key", "value"),
    [("", "swagger", "2.0"), ("3", "openapi", "3.0.3"), ("3.1", "openapi", "3.1.0")],
)
def test_swagger_comes_in_the_versions_of_v1(serve: Any, version: Any, key: Any, value: Any):
    reply = serve(ECHO, ask("GET", "/swagger.json", query=f"version={version}" if version else ""))
    assert reply.json[key] == value
    assert "/api/v1/service/digits/score" in reply.json["paths"]


def test_an_unknown_swagger_version_is_a_404(serve: Any):
    assert serve(ECHO, ask("GET", "/swagger.json", query="version=9")).status == 404


def test_a_request_whose_worker_ended_for_another_may_be_tried_again(
    serve: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(processes, "_NEIGHBOURS_S", 0.05)

    async def scenario(client: Any) -> Any:
        first = asyncio.ensure_future(client.ask("POST", "/score"))
        await asyncio.sleep(0.5)
        return await asyncio.gather(first, client.ask("POST", "/score"))

    script = "import time\ndef init(): pass\ndef run(data): time.sleep(1000)\n"
    overdue, neighbour = serve(script, scenario, isolation="process", max_concurrent=2, timeout_s=1.0)
    assert overdue.status == 504
    assert (neighbour.status, neighbour.json["code"]) == (503, "WorkerEnded")
    assert neighbour.headers["retry-after"] == "1"
    assert neighbour.headers["x-ms-run-function-failed"] == "False"


def test_health_is_503_until_init_is_over_and_answers_meanwhile(serve: Any):
    source = (
        "import time, pathlib\ndef init():\n"
        "    while not pathlib.Path(__file__).with_name('go').exists(): time.sleep(0.005)\n"
        "def run(data): return 1\n"
    )

    async def scenario(client: Any) -> Any:
        early = [await client.ask("GET", path) for path in ("/", "/v2/health/ready", "/v2/health/live")]
        refused = await client.ask("POST", "/score")
        (Path(client.service.contract.code_dir) / "go").touch()
        await client.until(lambda: client.service.ready)
        return early, refused, await client.ask("GET", "/")

    early, refused, late = serve(source, scenario, wait=False)
    assert [reply.status for reply in early] == [503, 503, 200]
    assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (503, "NotReady", "1")
    assert (late.status, late.body) == (200, b"Healthy")


@pytest.mark.parametrize(
    ("source", "said", "remedy"),
    [
        ("def run(data): return 1\n", "no function init()", "define init()"),
        ("def init(): pass\n", "no function run()", "define run(data)"),
        ("def init(): pass\ndef run(*args): return 1\n", "*args", "run(data)"),
        ("def init(): pass\ndef run(a, b): return 1\n", "needs 'b'", "run(data)"),
        (
            "def init():\n    raise KeyError('weights')\ndef run(d): return 1\n",
            "KeyError: 'weights' (score.py, line 2)",
            "line 2",
        ),
        ("import nosuchthing\n", "No module named 'nosuchthing'", "environment.requirements"),
        ("def init(:\n", "SyntaxError", "line 1"),
        (
            "def init():\n    raise SystemExit(4)\ndef run(d): return 1\n",
            "left the process with status 4 (score.py, line 2)",
            "raise an exception",
        ),
    ],
)
def test_a_script_that_cannot_serve_is_told_in_one_line_with_a_remedy(
    serve: Any, tmp_path: Any, source: Any, said: Any, remedy: Any
):
    async def scenario(client: Any) -> Any:
        return (await client.ask("GET", "/")).json["message"]

    message = serve(source, scenario)
    left = json.loads((tmp_path / "failure.json").read_text())
    assert said in message
    assert left["cause"] == message
    assert remedy in left["remedy"]


@pytest.mark.parametrize("path", ["/score", "/v2/models/digits/infer"])
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_a_listed_origin_is_named_once(serve: Any, path: Any, method: Any):
    headers = {"origin": "https://a.example", "access-control-request-method": "POST"}

    async def scenario(client: Any) -> Any:
        return (await client.ask(method, path, b"1", headers=headers)).every

    told = serve(ECHO, scenario, cors_origins=("https://a.example",))
    assert [value for name, value in told if name == "access-control-allow-origin"] == ["https://a.example"]


def test_an_origin_that_is_not_listed_is_told_nothing(serve: Any):
    headers = {"origin": "https://b.example", "access-control-request-method": "POST"}
    told = serve(ECHO, ask("OPTIONS", "/score", headers=headers), cors_origins=("https://a.example",)).headers
    assert not [name for name in told if name.startswith("access-control")]
