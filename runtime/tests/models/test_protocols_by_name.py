"""Every protocol names its model in its own way; real clients against real replicas."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.grpc.aio as triton_grpc_aio
import tritonclient.http as triton_http
from coming_and_going import SCRIPT
from modelyard_runtime.contract import ModelEntry
from modelyard_runtime.tfserving import predict_pb2
from tritonclient.utils import InferenceServerException

from runtime.tests.behaviour.replicas import alive

PROGRAM = str(Path(sys.executable).parent / "modelyard-replica")
NAMES = """
import os
import numpy
def init(): pass
def infer(inputs):
    if "n" in inputs:
        return ({"y": inputs["n"] + piece} for piece in range(2))
    return {"name": numpy.array([os.environ["MODELYARD_MODEL_NAME"]], object), **inputs}
"""
X = np.array([1], np.float32)


@pytest.fixture
def many(replica: Any, port: int, tmp_path: Path) -> Any:
    """A real replica of three models, the first loaded."""
    models = tuple(
        ModelEntry(name=name, version=version, path=str(tmp_path))
        for name, version in (("a", "1"), ("b", "1"), ("b", "2"))
    )
    one = replica(NAMES, port=port, multi_model=True, isolation="process", models=models)
    one.ready()
    return one


@pytest.fixture
def over_grpc(many: Any) -> Iterator[triton_grpc.InferenceServerClient]:
    with triton_grpc.InferenceServerClient(f"unix:{many.socket}") as client:
        yield client


def tensor(module: Any, name: str = "x") -> Any:
    made = module.InferInput(name, [1], "FP32")
    made.set_data_from_numpy(X)
    return made


def named(answer: Any) -> str:
    return str(answer.as_numpy("name")[0].decode())


def test_tritonclient_grpc_loads_infers_and_unloads_by_name(over_grpc: triton_grpc.InferenceServerClient):
    client = over_grpc
    assert client.get_server_metadata().extensions == ["binary_tensor_data", "model_repository"]
    assert not client.is_model_ready("b")
    client.load_model("b")
    assert client.is_model_ready("b", "2")
    assert named(client.infer("b", [tensor(triton_grpc)])) == "b"
    client.unload_model("b")
    listed = [(one.name, one.version, one.state) for one in client.get_model_repository_index().models]
    assert listed == [("a", "1", "READY"), ("b", "1", "UNAVAILABLE"), ("b", "2", "UNAVAILABLE")]


def test_a_grpc_request_has_its_model_loaded(over_grpc: triton_grpc.InferenceServerClient):
    answer = over_grpc.infer("b", [tensor(triton_grpc)], model_version="1")
    assert (named(answer), answer.get_response().model_version) == ("b", "1")


def test_a_grpc_request_without_a_name_asks_the_first_model(over_grpc: triton_grpc.InferenceServerClient):
    answer = over_grpc.infer("", [tensor(triton_grpc)])
    assert (named(answer), answer.get_response().model_name, answer.get_response().model_version) == (
        "a",
        "a",
        "1",
    )


def test_loading_a_model_there_is_not_is_not_found(over_grpc: triton_grpc.InferenceServerClient):
    with pytest.raises(InferenceServerException, match="no model is called 'x'"):
        over_grpc.load_model("x")


def test_a_model_is_not_replaced_by_who_loads_it(over_grpc: triton_grpc.InferenceServerClient):
    with pytest.raises(InferenceServerException, match="leave this parameter out"):
        over_grpc.load_model("b", config="{}")


def test_tritonclient_grpc_aio_loads_and_unloads_by_name(many: Any):
    async def scenario() -> tuple[bool, bool]:
        async with triton_grpc_aio.InferenceServerClient(f"unix:{many.socket}") as client:
            await client.load_model("b")
            loaded = await client.is_model_ready("b")
            await client.unload_model("b")
            return loaded, await client.is_model_ready("b")

    assert asyncio.run(scenario()) == (True, False)


def test_tritonclient_http_loads_infers_and_unloads_by_name(many: Any, port: int):
    assert many.ask("GET", "/")[0] == 200
    with triton_http.InferenceServerClient(f"127.0.0.1:{port}") as client:
        client.load_model("b")
        assert client.is_model_ready("b")
        assert named(client.infer("b", [tensor(triton_http)])) == "b"
        client.unload_model("b")
        states = [(one["name"], one["state"]) for one in client.get_model_repository_index()]
    assert states == [("a", "READY"), ("b", "UNAVAILABLE"), ("b", "UNAVAILABLE")]


def test_a_request_on_a_stream_has_its_model_loaded(over_grpc: triton_grpc.InferenceServerClient):
    answers: list[Any] = []
    over_grpc.start_stream(lambda result, error: answers.append(error or result.get_response().model_name))
    over_grpc.async_stream_infer("b", [tensor(triton_grpc, "n")])
    over_grpc.async_stream_infer("a", [tensor(triton_grpc)])
    over_grpc.stop_stream()
    assert answers == ["b", "b", "a"]


def test_tensorflow_servings_request_has_its_model_loaded(many: Any):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "b"
    request.inputs["x"].dtype = 1  # DT_FLOAT
    request.inputs["x"].tensor_shape.dim.add(size=1)
    request.inputs["x"].float_val.extend([3])
    with grpc.insecure_channel(f"unix:{many.socket}") as channel:
        predict = channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=predict_pb2.PredictRequest.SerializeToString,
            response_deserializer=predict_pb2.PredictResponse.FromString,
        )
        answer = predict(request, timeout=10)
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("b", 2)


def test_tensorflow_servings_status_says_how_each_version_stands(many: Any):
    with grpc.insecure_channel(f"unix:{many.socket}") as channel:
        ask = channel.unary_unary(
            "/tensorflow.serving.ModelService/GetModelStatus",
            request_serializer=predict_pb2.GetModelStatusRequest.SerializeToString,
            response_deserializer=predict_pb2.GetModelStatusResponse.FromString,
        )
        found = {
            (name, one.version): (one.state, one.status.error_message)
            for name in ("a", "b")
            for one in ask(predict_pb2.GetModelStatusRequest(model_spec={"name": name})).model_version_status
        }
    states, reason = predict_pb2.ModelVersionStatus, "it is loaded when it is asked for"
    assert found == {
        ("a", 1): (states.AVAILABLE, ""),
        ("b", 1): (states.END, reason),
        ("b", 2): (states.END, reason),
    }


@pytest.mark.parametrize("model", ["a", "b"])
def test_the_health_of_a_model_is_its_own(many: Any, model: str):
    with grpc.insecure_channel(f"unix:{many.socket}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        asked = b"\n\x01" + model.encode()
        assert check(asked, timeout=10) == (b"\x08\x01" if model == "a" else b"\x08\x02")


def test_no_process_of_any_model_outlives_the_replica(
    many: Any, over_grpc: triton_grpc.InferenceServerClient
):
    over_grpc.load_model("b")
    ours = workers_of(many)
    assert len(ours) == 2
    many.end()
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in ours):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers_of(one: Any) -> list[int]:
    """List who works in a replica's code folder as a worker does."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            started = (entry / "cmdline").read_bytes()
            if (entry / "cwd").readlink() == one.code and b"modelyard_runtime/worker" in started:
                found.append(int(entry.name))
    return found


def test_by_hand_each_model_is_scored_by_its_name(tmp_path: Path):
    page = Path(__file__).parents[3] / "docs" / "how-to" / "run-one-replica.md"
    (shown,) = (
        line
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("modelyard-replica") and "--multi-model" in line
    )
    (tmp_path / "service").mkdir()
    script = SCRIPT.replace('folder / "model.json"', 'next(folder.iterdir()) / "model.json"')
    (tmp_path / "service" / "score.py").write_text(script)
    for model in ("one", "two"):
        (tmp_path / model).mkdir()
        (tmp_path / model / "model.json").write_text("{}")
    command = [PROGRAM, *shlex.split(shown.replace("5001", "0"))[1:], "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            events = (json.loads(line) for line in started.stdout)
            urls = next(event["urls"] for event in events if event["event"] == "ready")
            connection = http.client.HTTPConnection(urls["grpc"], timeout=10)
            connection.request("POST", "/score", "null", {"modelyard-model": "b"})
            assert json.loads(connection.getresponse().read())[:2] == ["b", "0"]
            assert urls["infer"].endswith("/v2/models/a/infer")
            connection.close()
        finally:
            started.terminate()
