"""The protocols through the router, each with the client that its users have."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.http as triton_http
from modelyard_runtime.tfserving import predict_pb2

from runtime.tests.worker.wheels import write_wheel
from tests.conftest import RunningEngine

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ORIGIN = "https://app.example"
TENSORS = """
import time
import numpy

def init():
    pass

def infer(inputs):
    numbers = inputs["x"]
    if numbers.size and numbers.flat[0] < 0:
        return pieces(numbers)
    return {"y": numbers * 2}

def pieces(numbers):
    for piece in range(4):
        time.sleep(0.4)
        yield {"y": numbers * piece}
"""
TEXT = """
import json, time

def init():
    pass

def run(data):
    asked = json.loads(data)
    return lines(asked) if "lines" in asked else asked

def lines(asked):
    for number in range(asked["lines"]):
        time.sleep(0.4)
        yield f"{number}\\n"
"""
BATCHES = """
import json

def init():
    pass

def run(data):
    return run_batch([data])[0]

def run_batch(items):
    return [{"got": json.loads(item), "together": len(items)} for item in items]
"""
OF_A_MODEL = """
import json, os, pathlib

def init():
    global told
    (file,) = pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).iterdir()
    told = json.loads(file.read_text())

def run(data):
    return told
"""


@pytest.fixture(scope="module")
def served(shared_engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> RunningEngine:
    """Three services whose requests may take a second at most."""
    folder = tmp_path_factory.mktemp("services")
    for name, score, more in (
        ("tensors", TENSORS, "environment: {requirements: [numpy]}"),
        ("text", TEXT, f"cors: '{ORIGIN}'"),
    ):
        deploy(shared_engine, folder, name, score, f"{more}\nrequest: {{timeout: 1s}}\nscaling: {{max: 1}}")
    return shared_engine


def deploy(engine: RunningEngine, base: Path, name: str, score: str, more: str) -> None:
    folder = base / name
    folder.mkdir()
    (folder / "score.py").write_text(score)
    (folder / "engine.yaml").write_text(f"name: {name}\ncode: {{entry: score.py}}\n{more}\n")
    engine.deploy(folder)


def bearer(engine: RunningEngine, service: str) -> dict[str, str]:
    return {"authorization": f"Bearer {engine.key(service)}"}


# --- browsers ------------------------------------------------------------------------------------


def test_a_page_of_a_listed_origin_may_call_as_browsers_do(served: RunningEngine):
    asks = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    asked = httpx.options(served.url("text"), headers=asks)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    headers = {"origin": ORIGIN, **bearer(served, "text")}
    answer = httpx.post(served.url("text"), json={"a": 1}, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"a": 1})
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_a_page_of_another_origin_is_told_nothing(served: RunningEngine):
    asks = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    asked = httpx.options(served.url("text"), headers=asks)
    assert "access-control-allow-origin" not in asked.headers


def test_a_service_that_lists_no_origin_wants_a_key_for_the_question_too(served: RunningEngine):
    asks = {"origin": ORIGIN, "access-control-request-method": "POST"}
    assert httpx.options(served.url("tensors"), headers=asks).status_code == 401


# --- streams -------------------------------------------------------------------------------------


def test_a_streamed_answer_arrives_piece_by_piece_and_may_outlive_the_time_limit(served: RunningEngine):
    arrivals: list[tuple[str, float]] = []
    with httpx.stream(
        "POST", served.url("text"), json={"lines": 4}, headers=bearer(served, "text"), timeout=10
    ) as answer:
        arrivals.extend((line, time.monotonic()) for line in answer.iter_lines())
    assert [line for line, _ in arrivals] == ["0", "1", "2", "3"]
    assert arrivals[-1][1] - arrivals[0][1] > 1.0


@pytest.fixture
def tensors(served: RunningEngine) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{served.port}") as client:
        yield client


def metadata(engine: RunningEngine, service: str = "tensors") -> dict[str, str]:
    return {**bearer(engine, service), "modelyard-service": service}


def number(value: float) -> triton.InferInput:
    made = triton.InferInput("x", [1, 2], "FP32")
    made.set_data_from_numpy(np.array([[value, 1]], np.float32))
    return made


def test_tritons_client_infers_over_grpc(served: RunningEngine, tensors: triton.InferenceServerClient):
    answer = tensors.infer("tensors", [number(3)], headers=metadata(served))
    assert answer.as_numpy("y").tolist() == [[6, 2]]


def test_tritons_client_infers_over_http(served: RunningEngine):
    asked = triton_http.InferInput("x", [1, 2], "FP32")
    asked.set_data_from_numpy(np.array([[3, 1]], np.float32))
    with triton_http.InferenceServerClient(f"127.0.0.1:{served.port}") as client:
        answer = client.infer("tensors", [asked], headers=metadata(served))
    assert answer.as_numpy("y").tolist() == [[6, 2]]


def test_a_grpc_stream_stays_open_beyond_the_time_limit_of_a_request(
    served: RunningEngine, tensors: triton.InferenceServerClient
):
    answers: queue.Queue[Any] = queue.Queue()
    tensors.start_stream(lambda result, error: answers.put((result, error)), headers=metadata(served))
    started = time.monotonic()
    tensors.async_stream_infer("tensors", [number(3)])
    first, error = answers.get(timeout=10)
    assert error is None
    assert first.as_numpy("y").tolist() == [[6, 2]]
    tensors.async_stream_infer("tensors", [number(-1)])
    pieces = [answers.get(timeout=10) for _ in range(4)]
    tensors.stop_stream()
    assert [error for _, error in pieces] == [None] * 4
    assert [piece.as_numpy("y").tolist()[0][1] for piece, _ in pieces] == [0, 1, 2, 3]
    assert time.monotonic() - started > 1.0


# --- the other gRPC services ---------------------------------------------------------------------


def test_a_tensorflow_serving_client_of_v1_is_answered(served: RunningEngine):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "tensors"
    tensor = request.inputs["x"]
    tensor.dtype = 1  # DT_FLOAT
    tensor.tensor_shape.dim.add(size=1)
    tensor.tensor_shape.dim.add(size=2)
    tensor.float_val.extend([3, 1])
    headers = (
        ("authorization", f"Bearer {served.key('tensors')}"),
        ("x-ms-aml-grpc-service-route", "/api/v1/service/tensors"),
    )
    with grpc.insecure_channel(f"127.0.0.1:{served.port}") as channel:
        predict = channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=predict_pb2.PredictRequest.SerializeToString,
            response_deserializer=predict_pb2.PredictResponse.FromString,
        )
        answer = predict(request, metadata=headers, timeout=10)
    output = answer.outputs["y"]
    values = list(output.float_val) or np.frombuffer(output.tensor_content, np.float32).tolist()
    assert values == [6, 2]


def test_health_is_asked_like_everything_else(served: RunningEngine):
    with grpc.insecure_channel(f"127.0.0.1:{served.port}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        headers = tuple(metadata(served).items())
        assert check(b"", metadata=headers, timeout=10) == b"\x08\x01"  # SERVING
        with pytest.raises(grpc.RpcError) as caught:
            check(b"", metadata=(("modelyard-service", "tensors"),), timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


# --- batches and many models ---------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_requests_that_come_together_run_together(
    shared_engine: RunningEngine, tmp_path: Path, isolation: str
):
    name = f"batches-{isolation}"
    more = f"isolation: {isolation}\nbatching: {{max_size: 8, max_wait: 100ms}}\nscaling: {{max: 1}}"
    deploy(shared_engine, tmp_path, name, BATCHES, more)
    key = shared_engine.key(name)

    def ask(number: int) -> Any:
        return shared_engine.post(name, {"n": number}, key=key).json()

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, range(64)))
    assert [answer["got"]["n"] for answer in answers] == list(range(64))
    assert max(answer["together"] for answer in answers) > 1


def test_many_models_come_and_go_by_their_names(shared_engine: RunningEngine, tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_text(f'"{name}"')
    more = (
        "models: [{name: one, path: ../one.json}, {name: two, version: '7', path: ../two.json}]\n"
        "multi_model: {enabled: true, memory: 512Mi}\nscaling: {max: 1}"
    )
    deploy(shared_engine, tmp_path, "many", OF_A_MODEL, more)
    headers = bearer(shared_engine, "many")
    url = shared_engine.url("many")
    assert httpx.post(url, content="", headers=headers).json() == "one"
    assert httpx.post(url, content="", headers={**headers, "modelyard-model": "two:7"}).json() == "two"
    headers["modelyard-service"] = "many"
    with triton_http.InferenceServerClient(f"127.0.0.1:{shared_engine.port}") as client:
        client.unload_model("two", headers=headers)
        states = {
            model["name"]: model["state"] for model in client.get_model_repository_index(headers=headers)
        }
        client.load_model("two", headers=headers)
        ready = client.is_model_ready("two", "7", headers=headers)
    assert (states, ready) == ({"one": "READY", "two": "UNAVAILABLE"}, True)


def test_packages_that_a_service_names_are_there_when_its_script_is_imported(
    shared_engine: RunningEngine, tmp_path: Path
):
    folder = tmp_path / "packed"
    wheel = write_wheel(folder)
    (folder / "extra.txt").write_text(f"--no-index\n./{wheel.name}\n")
    (folder / "score.py").write_text(
        "import extra_thing\ndef init(): pass\ndef run(data): return extra_thing.VALUE\n"
    )
    (folder / "engine.yaml").write_text(
        "name: packed\ncode: {entry: score.py}\nscaling: {max: 1}\n"
        "environment: {variables: {AZUREML_EXTRA_REQUIREMENTS_TXT: extra.txt}}\n"
    )
    shared_engine.deploy(folder)
    answer = shared_engine.post("packed", {}, key=shared_engine.key("packed"))
    assert (answer.status_code, answer.json()) == (200, 31)
