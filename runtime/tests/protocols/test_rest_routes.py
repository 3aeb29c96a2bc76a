"""The protocol's REST paths: what they answer, refuse and allow."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from modelyard_runtime.contract import ModelEntry
from modelyard_runtime.server.open_inference import split_path
from modelyard_runtime.server.problems import NotFound

ECHO = "import json\ndef init(): pass\ndef run(data): return json.loads(data)\n"
LISTS = "import json\ndef init(): pass\ndef run(data): return json.loads(data)['data']\n"


def infer(
    document: Any, *, headers: Any = None, path: Any = "/v2/models/digits/infer", method: Any = "POST"
) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    async def scenario(client: Any) -> Any:
        return await client.ask(method, path, body, headers=headers)

    return scenario


def get(path: str) -> Any:
    return infer(b"", path=path, method="GET")


def tensor(data: Any = (1.0, 2.0), shape: Any = (1, 2), datatype: Any = "FP32", name: Any = "x") -> Any:
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": list(data)}


def test_a_request_with_one_input_reaches_run_as_data(serve: Any):
    reply = serve(LISTS, infer({"id": "7", "inputs": [tensor()]}))
    assert reply.json == {
        "id": "7",
        "model_name": "digits",
        "model_version": "3",
        "outputs": [{"name": "output", "datatype": "FP64", "shape": [1, 2], "data": [1.0, 2.0]}],
    }


def test_several_inputs_reach_run_by_name_and_come_back_by_key(serve: Any):
    sent = [tensor(name="a"), tensor(["x", "y"], (2,), "BYTES", "b")]
    outputs = serve(ECHO, infer({"inputs": sent, "outputs": [{"name": "b"}]})).json["outputs"]
    assert outputs == [{"name": "b", "datatype": "BYTES", "shape": [2], "data": ["x", "y"]}]


def test_raw_tensors_follow_the_json_both_ways(serve: Any):
    raw = np.array([[1, 2]], "<i8").tobytes()
    entry = {"name": "x", "shape": [1, 2], "datatype": "INT64", "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
    reply = serve(LISTS, infer(head + raw, headers={"inference-header-content-length": str(len(head))}))
    cut = int(reply.headers["inference-header-content-length"])
    assert json.loads(reply.body[:cut])["outputs"][0]["parameters"] == {"binary_data_size": 16}
    assert reply.body[cut:] == raw


def test_a_body_that_breaks_the_protocol_is_a_400_with_its_place(serve: Any):
    reply = serve(LISTS, infer({"inputs": [tensor(shape=(-1,))]}))
    assert (reply.status, reply.json["code"], reply.json["path"]) == (400, "BadRequest", "inputs[0].shape")


@pytest.mark.parametrize("result", ["[[1], [2, 3]]", "None", "{'a': object()}"])
def test_a_result_no_tensor_can_be_made_of_is_a_500(serve: Any, result: Any):
    source = f"def init(): pass\ndef run(data): return {result}\n"
    assert serve(source, infer({"inputs": [tensor()]})).json["code"] == "ResultUnusable"


def test_bytes_that_json_cannot_carry_are_unusable_with_a_remedy(serve: Any):
    source = "import numpy\ndef init(): pass\ndef infer(inputs): return numpy.array([b'\\xff'], object)\n"
    reply = serve(source, infer({"inputs": [tensor()]}))
    assert (reply.status, reply.json["code"]) == (500, "ResultUnusable")
    assert "binary" in reply.json["message"]


def test_a_generator_is_answered_by_the_stream_call_only(serve: Any):
    reply = serve("def init(): pass\ndef infer(inputs):\n    yield inputs\n", infer({"inputs": [tensor()]}))
    assert (reply.status, reply.json["code"]) == (501, "Unimplemented")


@pytest.mark.parametrize(
    "path", ["/v2/models/m/infer", "/v2/models/m/versions/2/infer", "/v2/models/digits/infer"]
)
def test_a_registered_model_answers_to_its_name_and_version(serve: Any, path: Any):
    models = (ModelEntry(name="m", version="2", path="/nowhere"),)
    assert serve(LISTS, infer({"inputs": [tensor()]}, path=path), models=models).status == 200


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/digits/ready", {"name": "digits", "ready": True}),
        ("/v2/models/digits/versions/3/ready", {"name": "digits", "ready": True}),
        (
            "/v2/models/digits",
            {"name": "digits", "versions": ["3"], "platform": "python_script", "inputs": [], "outputs": []},
        ),
    ],
)
def test_questions_about_the_server_and_its_model(serve: Any, path: str, answer: Any):
    reply = serve(LISTS, get(path))
    assert (reply.status, reply.json) == (200, answer)


def test_the_server_names_its_extensions(serve: Any):
    assert serve(LISTS, get("/v2")).json["extensions"] == ["binary_tensor_data"]


def test_declared_tensors_are_a_models_metadata(serve: Any):
    declared = [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
    source = f"INPUTS = {declared}\ndef init(): pass\ndef infer(inputs): return inputs\n"
    assert serve(source, get("/v2/models/digits")).json["inputs"] == declared


@pytest.mark.parametrize("path", ["/v2/health/ready", "/v2/models/digits/ready"])
def test_a_script_that_failed_is_not_ready_but_alive(serve: Any, path: str):
    source = "def init(): raise ValueError('x')\ndef run(data): pass\n"
    assert serve(source, get(path)).status == 503
    assert serve(source, get("/v2/health/live")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/digits/infer", 405),
        ("POST", "/v2/models/digits", 405),
        ("POST", "/v2", 405),
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/digits/versions/9", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("POST", "/v2/infer", 404),
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/models/", 404),
        ("GET", "/v2/models/digits/versions", 404),
    ],
)
def test_paths_and_methods_there_are_none_of(serve: Any, method: str, path: str, status: int):
    reply = serve(LISTS, infer(b"", path=path, method=method))
    assert (reply.status, set(reply.json)) == (status, {"code", "message", "request_id"})


def test_a_preflight_is_answered_for_allowed_origins(serve: Any):
    headers = {"origin": "https://a.example", "access-control-request-method": "POST"}
    reply = serve(LISTS, infer(b"", method="OPTIONS", headers=headers), cors_origins=("https://a.example",))
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, "https://a.example")


@pytest.mark.parametrize(
    "path", ["/v2/models", "/v2/models//infer", "/v2/models/m/versions/1/x", "/v2/models/m/x"]
)
def test_a_path_that_names_no_model_is_not_found(path: str):
    with pytest.raises(NotFound):
        split_path(path)
