"""The clients that people have, unchanged, against a real replica."""

from __future__ import annotations

import asyncio
import http.client
import queue
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import ml_dtypes
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.grpc.aio as triton_grpc_aio
import tritonclient.http as triton_http
import tritonclient.http.aio as triton_http_aio
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.utils import InferenceServerException

SCRIPT = """
INPUTS = [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
OUTPUTS = [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}]
def init(): pass
def infer(inputs): return {"y": inputs["x"] * 2}
"""
MIRROR = (
    "def init(): pass\ndef infer(inputs): return {'y_' + name: array for name, array in inputs.items()}\n"
)
COUNTING = """
def init(): pass
def infer(inputs):
    for number in range(int(inputs["n"][0])):
        yield {"y": inputs["n"] * 0 + number}
"""
ARRAYS = {
    "BOOL": np.array([[True], [False]]),
    **{f"UINT{bits}": np.array([[0], [2**bits - 1]], f"u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.array([[-(2 ** (bits - 1))], [1]], f"i{bits // 8}") for bits in (8, 16, 32, 64)},
    "FP16": np.array([[0.5], [-65504]], np.float16),
    "FP32": np.array([[0.1], [np.inf]], np.float32),
    "FP64": np.array([[0.1], [1e300]], np.float64),
    "BF16": np.array([[0.5], [-2.0]], ml_dtypes.bfloat16),
    "BYTES": np.array([[b"\xff\x00"], ["é".encode()]], np.object_),
}
X = np.array([[1, 2], [3, 4]], np.float32)


def tensor(module: Any, name: str, datatype: str, array: Any, **more: Any) -> Any:
    made = module.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, **more)
    return made


@pytest.fixture
def started(replica: Any, port: int) -> Callable[..., Any]:
    """Start a replica with a TCP port beside its socket, for clients that know no other."""

    def start(script: str, **fields: Any) -> Any:
        one = replica(script, port=port, **fields)
        one.ready()
        return one

    return start


@pytest.fixture
def channel(started: Any) -> Iterator[Callable[..., grpc.Channel]]:
    made: list[grpc.Channel] = []

    def connect(script: str, **fields: Any) -> grpc.Channel:
        made.append(grpc.insecure_channel(f"unix:{started(script, **fields).socket}"))
        return made[-1]

    yield connect
    for one in made:
        one.close()


def test_tritonclient_grpc(started: Any):
    target = f"unix:{started(SCRIPT, compression=True).socket}"
    with triton_grpc.InferenceServerClient(target) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("digits", "3")
        assert client.get_server_metadata(as_json=True)["extensions"] == ["binary_tensor_data"]
        metadata = client.get_model_metadata("digits", as_json=True)
        assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": ["-1", "2"]}]
        for compression in (None, "gzip"):
            answer = client.infer(
                "digits",
                [tensor(triton_grpc, "x", "FP32", X)],
                request_id="9",
                outputs=[triton_grpc.InferRequestedOutput("y")],
                compression_algorithm=compression,
                client_timeout=10,
            )
            assert answer.as_numpy("y").tolist() == (X * 2).tolist()
            assert answer.get_response().id == "9"
        with pytest.raises(InferenceServerException, match="no model is called 'other'"):
            client.infer("other", [tensor(triton_grpc, "x", "FP32", X)])
        (entry,) = client.get_model_repository_index().models
        assert (entry.name, entry.version, entry.state, entry.reason) == ("digits", "3", "READY", "")
        with pytest.raises(InferenceServerException, match="loaded or unloaded by name"):
            client.load_model("digits")


def test_tritonclient_grpc_carries_every_datatype(started: Any):
    target = f"unix:{started(MIRROR).socket}"
    with triton_grpc.InferenceServerClient(target) as client:
        inputs = [tensor(triton_grpc, name, name, array) for name, array in ARRAYS.items()]
        answer = client.infer("digits", inputs)
        for name, array in ARRAYS.items():
            assert answer.as_numpy(f"y_{name}").tolist() == array.tolist(), name


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_http(started: Any, port: int, binary: Any):
    started(MIRROR)
    with triton_http.InferenceServerClient(f"127.0.0.1:{port}") as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("digits", "3")
        assert client.get_server_metadata()["name"] == "modelyard-runtime"
        assert client.get_model_metadata("digits")["versions"] == ["3"]
        entry = {"name": "digits", "version": "3", "state": "READY", "reason": ""}
        assert client.get_model_repository_index() == [entry]
        with pytest.raises(InferenceServerException, match="loaded or unloaded by name"):
            client.unload_model("digits")
        arrays = {
            name: array
            for name, array in ARRAYS.items()
            if binary or (name not in {"FP16", "BF16", "BYTES"} and np.isfinite(array).all())
        }
        inputs = [
            tensor(triton_http, name, name, array, binary_data=binary) for name, array in arrays.items()
        ]
        outputs = [triton_http.InferRequestedOutput(f"y_{name}", binary_data=binary) for name in arrays]
        answer = client.infer("digits", inputs, outputs=outputs, request_id="9")
        for name, array in arrays.items():
            assert answer.as_numpy(f"y_{name}").tolist() == array.tolist(), name
        assert answer.get_response()["id"] == "9"
        with pytest.raises(InferenceServerException, match="no model is called 'other'"):
            client.infer("other", inputs)


def test_tritonclient_aio_over_grpc_and_http(started: Any, port: int):
    target = f"unix:{started(SCRIPT).socket}"

    async def ask() -> None:
        async with triton_grpc_aio.InferenceServerClient(target) as client:
            assert await client.is_model_ready("digits")
            answers = await asyncio.gather(
                *(client.infer("digits", [tensor(triton_grpc, "x", "FP32", X * n)]) for n in range(8))
            )
            assert [answer.as_numpy("y").tolist() for answer in answers] == [
                (X * n * 2).tolist() for n in range(8)
            ]
        async with triton_http_aio.InferenceServerClient(f"127.0.0.1:{port}") as client:
            answer = await client.infer("digits", [tensor(triton_http, "x", "FP32", X)])
            assert answer.as_numpy("y").tolist() == (X * 2).tolist()

    asyncio.run(ask())


def test_a_stream_answers_in_order_and_a_bad_request_fails_alone(started: Any):
    target = f"unix:{started(SCRIPT).socket}"
    answers: queue.Queue[Any] = queue.Queue()
    with triton_grpc.InferenceServerClient(target) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        for number in range(20):
            model = "other" if number == 7 else "digits"
            client.async_stream_infer(
                model, [tensor(triton_grpc, "x", "FP32", X * number)], request_id=str(number)
            )
        for number in range(20):
            result, error = answers.get(timeout=20)
            if number == 7:
                assert "no model is called 'other'" in str(error)
                continue
            assert error is None
            assert result.get_response().id == str(number)
            assert result.get_response().parameters["triton_final_response"].bool_param
            assert result.as_numpy("y").tolist() == (X * number * 2).tolist()
        client.stop_stream()


def test_a_generator_answers_a_stream_several_times(started: Any):
    target = f"unix:{started(COUNTING).socket}"
    answers: queue.Queue[Any] = queue.Queue()
    with triton_grpc.InferenceServerClient(target) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        count = np.array([3], np.int32)
        client.async_stream_infer(
            "digits", [tensor(triton_grpc, "n", "INT32", count)], enable_empty_final_response=True
        )
        for number in range(3):
            result, error = answers.get(timeout=20)
            assert error is None
            assert result.as_numpy("y").tolist() == [number]
        last, error = answers.get(timeout=20)
        assert error is None
        assert last.get_response().parameters["triton_final_response"].bool_param
        assert not last.get_response().outputs
        client.stop_stream()


def test_a_10_mb_tensor_goes_there_and_back(started: Any):
    big = np.random.default_rng(1).random((1250, 2000), np.float32)
    target = f"unix:{started(MIRROR).socket}"
    with triton_grpc.InferenceServerClient(target) as client:
        answer = client.infer("digits", [tensor(triton_grpc, "x", "FP32", big)])
        assert (answer.as_numpy("y_x") == big).all()


def test_the_health_client_checks_and_watches(channel: Any):
    stub = health_pb2_grpc.HealthStub(channel(SCRIPT))
    serving = health_pb2.HealthCheckResponse.SERVING
    for name in ("", "digits", "inference.GRPCInferenceService", "tensorflow.serving.PredictionService"):
        assert stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10).status == serving
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="other"), timeout=10)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=""), timeout=10)
    assert next(watch).status == serving
    watch.cancel()
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="other"), timeout=10)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def test_a_watcher_hears_of_the_drain(started: Any):
    one = started(SCRIPT)
    with grpc.insecure_channel(f"unix:{one.socket}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=20)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        one.ask("POST", "/modelyard/drain")
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()


def test_the_watchers_own_deadline_ends_the_watch(channel: Any):
    stub = health_pb2_grpc.HealthStub(channel(SCRIPT))
    watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=0.5)
    with pytest.raises(grpc.RpcError) as caught:
        list(watch)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_the_reflection_client_finds_all_and_can_call_by_what_it_found(channel: Any):
    connected = channel(SCRIPT)
    database = ProtoReflectionDescriptorDatabase(connected)
    assert {
        "inference.GRPCInferenceService",
        "grpc.health.v1.Health",
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    } == set(database.get_services())
    pool = DescriptorPool(database)
    service = pool.FindServiceByName("inference.GRPCInferenceService")
    method = service.FindMethodByName("ModelReady")
    assert method.input_type.full_name == "inference.ModelReadyRequest"
    asked, answered = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    call = connected.unary_unary(
        f"/{service.full_name}/{method.name}",
        request_serializer=asked.SerializeToString,
        response_deserializer=answered.FromString,
    )
    assert call(asked(name="digits"), timeout=10).ready
    predict = pool.FindMessageTypeByName("tensorflow.serving.PredictRequest")
    assert predict.fields_by_name["model_spec"].message_type.full_name == "tensorflow.serving.ModelSpec"


def test_an_unknown_method_and_a_deadline_have_their_codes(channel: Any):
    slow = "import time\ndef init(): pass\ndef infer(inputs):\n    time.sleep(1)\n    return inputs\n"
    connected = channel(slow)
    with pytest.raises(grpc.RpcError) as caught:
        connected.unary_unary("/inference.GRPCInferenceService/Other")(b"", timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    message = triton_grpc.service_pb2.ModelInferRequest(model_name="digits", raw_input_contents=[b"1234"])
    message.inputs.add(name="x", datatype="FP32", shape=[1])
    with pytest.raises(grpc.RpcError) as caught:
        connected.unary_unary("/inference.GRPCInferenceService/ModelInfer")(
            message.SerializeToString(), timeout=0.2
        )
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_grpc_over_http_1_is_told_in_http_what_it_needs(started: Any, port: int):
    started(SCRIPT)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(
        "POST",
        "/inference.GRPCInferenceService/ModelInfer",
        b"\0\0\0\0\0",
        {"content-type": "application/grpc"},
    )
    answer = connection.getresponse()
    assert answer.status == 505
    assert b"HTTP/2" in answer.read()
    connection.close()
