"""`@rawhttp`: the same promises over Flask's classes and over our own."""

from __future__ import annotations

import importlib.util
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from modelyard_runtime.worker import aliases, script
from modelyard_runtime.worker.failures import BadInput, ScriptRaised
from modelyard_runtime.worker.replies import HttpReply, Scored, StreamReply
from modelyard_runtime.worker.requests import ScoreRequest

from runtime.tests.worker.asking import fp32, got, inferring, posted

HEAD = """
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse
def init(): pass
"""


@pytest.fixture(params=["flask", "own"])
def raw(request: Any, loaded: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what loads a raw-HTTP script, with Flask and as if there was none."""
    if request.param == "own":
        monkeypatch.setattr(aliases, "has_flask", lambda: False)
        monkeypatch.setattr(script, "_flask_contexts", lambda: None)
    return lambda body, **options: loaded(HEAD + "@rawhttp\ndef run(request):\n" + body, **options)


def seen(raw: Any, expression: str, request: ScoreRequest) -> Any:
    reply = raw(f"    return AMLResponse({expression}, 200, json_str=True)\n").answer(request)
    assert isinstance(reply, HttpReply)
    return json.loads(reply.body)


FORM = ((b"content-type", b"application/x-www-form-urlencoded"),)
UPLOAD = ((b"content-type", b'multipart/form-data; boundary="XX"'),)
PARTS = (
    b'--XX\r\nContent-Disposition: form-data; name="image"; filename="a b.png"\r\nContent-Type: image/png\r\n\r\n'
    b'\x89PNG\r\n\x00\r\n--XX\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--XX--\r\n'
)
SENT = posted('{"a": [1]}', query=b"a=1&b=%C3%A9&a=2", headers=(
    (b"host", b"h.example:81"), (b"content-type", b"application/json; charset=utf-8"), (b"x-team", b"blue"), (b"cookie", b"k=v; l=w")  # noqa: E501
))  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("request.method", "POST"),
        ("request.path", "/score"),
        ("request.full_path", "/score?a=1&b=%C3%A9&a=2"),
        ("request.url.split('?')[0]", "http://h.example:81/score"),
        ("request.query_string.decode()", "a=1&b=%C3%A9&a=2"),
        ("[request.args['b'], request.args.get('a', type=int), request.args.getlist('a'), request.args.get('z', 7)]", ["é", 1, ["1", "2"], 7]),  # noqa: E501
        ("sorted(request.values)", ["a", "b"]),
        ("[request.headers['x-TEAM'], request.headers.get('nope', 'd'), 'X-Team' in request.headers]", ["blue", "d", True]),  # noqa: E501
        ("dict(request.headers)['X-Team']", "blue"),
        ("request.get_data().decode()", '{"a": [1]}'),
        ("request.data.decode()", '{"a": [1]}'),
        ("request.get_data(as_text=True)", '{"a": [1]}'),
        ("request.stream.read().decode()", '{"a": [1]}'),
        ("[request.json, request.get_json(), request.is_json]", [{"a": [1]}, {"a": [1]}, True]),
        ("[request.content_type, request.mimetype, request.content_length]", ["application/json; charset=utf-8", "application/json", 10]),  # noqa: E501
        ("dict(request.cookies)", {"k": "v", "l": "w"}),
        ("bool(request.remote_addr)", True),
        ("isinstance(request, AMLRequest)", True),
    ],
)  # fmt: skip
def test_a_request_shows_what_flasks_does(raw: Any, expression: str, expected: Any):
    assert seen(raw, expression, SENT) == expected


def test_a_form_is_read(raw: Any):
    assert seen(
        raw, "[request.form.getlist('a'), request.form['b']]", posted("a=1&b=x+y&a=2", headers=FORM)
    ) == [["1", "2"], "x y"]


def test_files_are_read_to_the_byte(raw: Any):
    read = (
        "[f.filename, f.content_type, list(f.read()), request.form['note']] for f in [request.files['image']]"
    )
    assert seen(raw, f"[{read}][0]", posted(PARTS, headers=UPLOAD)) == [
        "a b.png",
        "image/png",
        list(b"\x89PNG\r\n\x00"),
        "hello",
    ]


def test_a_get_and_options_reach_run(raw: Any):
    expression = "[request.method, request.content_length, request.get_json(silent=True)]"
    assert seen(raw, expression, got(b"a=1")) == ["GET", None, None]
    assert seen(raw, expression, ScoreRequest("OPTIONS", "/score", b"", (), b""))[0] == "OPTIONS"


@pytest.mark.parametrize(
    ("answer", "status", "kind", "body", "failed"),
    [
        ("AMLResponse('é', 200)", 200, b"text/html; charset=utf-8", "é".encode(), False),
        ("AMLResponse(b'\\x89', 201, {'Content-Type': 'image/png'})", 201, b"image/png", b"\x89", False),
        ("AMLResponse({'a': [1, None]}, 200, json_str=True)", 200, b"application/json", b'{"a": [1, null]}', False),
        ("AMLResponse(None, 404)", 404, b"application/json", b"{}", False),
        ("AMLResponse(['a', 'b'], 200)", 200, b"text/html; charset=utf-8", b"ab", False),
        ("AMLResponse('x', '418 teapot')", 418, b"text/html; charset=utf-8", b"x", False),
        ("AMLResponse('x', 503)", 503, b"text/html; charset=utf-8", b"x", True),
        ("AMLResponse('x', 200, run_function_failed=True)", 200, b"text/html; charset=utf-8", b"x", True),
        ("AMLResponse(message='m', status_code=202, response_headers={}, json_str=True)", 202, b"application/json", b'"m"', False),  # noqa: E501
    ],
)  # fmt: skip
def test_a_response_is_sent_as_it_is(
    raw: Any,
    answer: str,
    status: int,
    kind: bytes,
    body: bytes,
    failed: bool,  # noqa: FBT001
):
    reply = raw(f"    return {answer}\n").answer(posted(""))
    assert (reply.status, reply.body, reply.run_failed) == (status, body, failed)
    assert [value for name, value in reply.headers if name == b"content-type"] == [kind]


def test_a_comma_in_a_header_makes_two_of_it(raw: Any):
    reply = raw("    return AMLResponse('x', 200, {'X-Own': 'a, b,c'})\n").answer(posted(""))
    assert [value for name, value in reply.headers if name == b"x-own"] == [b"a", b"b", b"c"]


def test_pieces_are_streamed_with_the_scripts_own_type(raw: Any):
    reply = raw(
        "    return AMLResponse((f'data: {n}\\n\\n' for n in range(2)), 200, {'Content-Type': 'text/event-stream'})\n"
    ).answer(posted(""))
    assert isinstance(reply, StreamReply)
    assert (b"content-type", b"text/event-stream") in list(reply.headers)
    assert list(reply.chunks) == [b"data: 0\n\n", b"data: 1\n\n"]


def test_anything_else_is_json(raw: Any):
    assert raw("    return {'a': 1}\n").answer(posted("")).body == b'{"a":1}'


def test_json_that_is_none_is_the_clients_fault(raw: Any):
    script_ = raw("    return request.get_json()\n")
    with pytest.raises(BadInput) as malformed:
        script_.answer(posted("{"))
    with pytest.raises(BadInput) as other:
        script_.answer(posted("{}", headers=()))
    assert (malformed.value.status, other.value.status) == (400, 415)


def test_strict_v1_calls_what_a_request_refuses_the_scripts_failure(raw: Any):
    with pytest.raises(ScriptRaised):
        raw("    return request.get_json()\n", compat="strict-v1").answer(posted("{"))


def test_what_run_raises_is_its_failure(raw: Any):
    with pytest.raises(ScriptRaised):
        raw("    1 / 0\n").answer(posted(""))


def test_tensors_come_as_a_post_of_json(raw: Any):
    script_ = raw("    return AMLResponse({'y': request.get_json()['data']}, 200, json_str=True)\n")
    (tensor,) = script_.answer(inferring(fp32("x", [[1, 2]]))).outputs
    assert (tensor.name, tensor.datatype, tensor.shape) == ("y", "FP64", (1, 2))


@pytest.mark.parametrize(("status", "failure"), [(400, BadInput), (500, ScriptRaised)])
def test_a_status_says_how_a_request_for_tensors_ends(raw: Any, status: int, failure: type):
    with pytest.raises(failure):
        raw(f"    return AMLResponse('no', {status})\n").answer(inferring(fp32("x", [[1]])))


def test_the_style_needs_headers(raw: Any):
    description = raw("    return 1\n").description
    assert (description.style, description.needs_headers) == ("http", True)


def test_flasks_own_names_work_in_any_script(loaded: Any):
    source = "import flask\ndef init(): pass\ndef run(data): return flask.jsonify(team=flask.request.headers['x-team'])\n"  # noqa: E501
    reply = loaded(source).answer(posted("", headers=((b"x-team", b"blue"),)))
    assert json.loads(reply.body) == {"team": "blue"}


def test_the_request_is_flasks_own(loaded: Any):
    source = HEAD + "import flask\n@rawhttp\ndef run(request): return isinstance(request, flask.Request)\n"
    assert loaded(source).answer(posted("")).body == b"true"


ASYNC = """
import asyncio, flask

@rawhttp
async def run(request):
    await asyncio.sleep(float(flask.request.args["pause"]))
    return [request is flask.request._get_current_object(), flask.request.args["name"], flask.current_app.name]
"""


def test_an_async_run_has_flasks_context_to_its_end(loaded: Any):
    reply = loaded(HEAD + ASYNC).answer(got(b"pause=0&name=a"))
    assert json.loads(reply.body) == [True, "a", "modelyard"]


def test_async_runs_at_once_see_each_its_own_request(loaded: Any):
    script_ = loaded(HEAD + ASYNC)
    requests = [got(b"pause=%.2f&name=%d" % (0.1 - number / 50, number)) for number in range(4)]
    with ThreadPoolExecutor(len(requests)) as threads:
        replies = list(threads.map(script_.answer, requests))
    assert [json.loads(reply.body)[1] for reply in replies] == ["0", "1", "2", "3"]


def test_an_async_run_without_decorators_has_flasks_context_too(loaded: Any):
    source = "import asyncio, flask\ndef init(): pass\nasync def run(data):\n    await asyncio.sleep(0)\n    return flask.request.method\n"  # noqa: E501
    assert loaded(source).answer(posted("")).body == b'"POST"'


def test_todays_import_paths_work_too(loaded: Any):
    source = HEAD.replace("azureml.contrib.services", "azureml_inference_server_http.api")
    reply = loaded(source + "@rawhttp\ndef run(request): return request.method\n").answer(posted(""))
    assert isinstance(reply, Scored)


def test_a_mark_does_not_outlive_its_script(loaded: Any):
    loaded(HEAD + "@rawhttp\ndef run(request): return 1\n")
    assert loaded("def init(): pass\ndef run(data): return 1\n").description.style == "text"


def test_a_real_package_wins_over_the_alias(loaded: Any, tmp_path: Any):
    package = tmp_path / "azureml" / "core"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("REAL = True\n")
    (package / "model.py").write_text(
        "class Model:\n    @staticmethod\n    def get_model_path(name): return 'real ' + name\n"
    )
    source = "from azureml.core.model import Model\ndef init(): pass\ndef run(data): return Model.get_model_path('m')\n"
    assert loaded(source).answer(posted("")).body == b'"real m"'


def test_unknown_names_of_v1_stay_unknown(loaded: Any):
    loaded("def init(): pass\ndef run(data): return 1\n")
    assert importlib.util.find_spec("azureml.nosuchthing") is None
