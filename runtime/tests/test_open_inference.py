"""The Open Inference Protocol: codecs, REST with and without raw tensors, gRPC frames and statuses."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from modelyard_runtime.oip import messages, rest
from modelyard_runtime.oip import open_inference_pb2 as pb
from modelyard_runtime.oip.tensors import (
    DTYPES,
    InferRequest,
    OipError,
    Tensor,
    from_raw,
    from_values,
    to_list,
    to_raw,
)
from modelyard_runtime.server import oip_grpc

ECHO = "import json\ndef init(): pass\ndef run(data): return json.loads(data)\n"
LISTS = "import json\ndef init(): pass\ndef run(data): return json.loads(data)['data']\n"
PREFIX = "/inference.GRPCInferenceService/"


@given(
    st.sampled_from(sorted(DTYPES)).flatmap(
        lambda n: st.tuples(st.just(n), arrays.arrays(DTYPES[n], arrays.array_shapes(min_dims=1, min_side=0)))
    )
)
def test_raw_bytes_survive_the_way_there_and_back(case: Any):
    name, array = case
    raw = to_raw(Tensor("x", name, array))
    back = from_raw("x", name, array.shape, raw)
    assert back.array.shape == array.shape
    assert to_raw(back) == raw


@given(st.lists(st.text()))
def test_text_survives_raw_and_as_values(texts: Any):
    tensor = from_values("x", "BYTES", [len(texts)], texts)
    assert to_list(from_raw("x", "BYTES", [len(texts)], to_raw(tensor))) == texts


@given(st.binary(max_size=40), st.integers(0, 2**40), st.sampled_from([*sorted(DTYPES), "BYTES"]))
def test_any_bytes_give_a_tensor_or_an_oip_error_and_nothing_else(raw: Any, count: Any, datatype: Any):
    try:
        tensor = from_raw("x", datatype, [count], raw)
    except OipError:
        return
    assert tensor.array.size == count


@pytest.mark.parametrize(
    ("datatype", "shape", "values"),
    [
        ("INT8", [1], [128]),
        ("UINT8", [1], [-1]),
        ("INT32", [1], [1.5]),
        ("FP32", [1], ["1"]),
        ("FP32", [2], [1.0]),
        ("FP32", [2, 2], [[1, 2], [3]]),
        ("FP32", [-1], [1.0]),
        ("FP32", [1 << 62, 4, 0], []),
        ("BOOL", [1], [1]),
        ("BYTES", [1], [5]),
        ("BF16", [1], [1.0]),
        ("FP32", [True], [1.0]),
        ("FP32", [1], [None]),
    ],
)
def test_values_that_do_not_fit_are_refused(datatype: Any, shape: Any, values: Any):
    with pytest.raises(OipError):
        from_values("x", datatype, shape, values)


def infer(document: Any, *, headers: Any = None, path: Any = "/v2/models/digits/infer") -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    async def scenario(client: Any) -> Any:
        return await client.ask("POST", path, body, headers=headers)

    return scenario


def tensor(data: Any = (1.0, 2.0), shape: Any = (1, 2), datatype: Any = "FP32", name: Any = "x") -> Any:
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": list(data)}


def test_a_rest_request_with_one_input_reaches_run_as_data(serve: Any):
    reply = serve(LISTS, infer({"id": "7", "inputs": [tensor()]}))
    assert reply.json == {
        "id": "7",
        "model_name": "digits",
        "model_version": "3",
        "outputs": [{"name": "output", "datatype": "FP64", "shape": [1, 2], "data": [[1.0, 2.0]]}],
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


@pytest.mark.parametrize(
    "document",
    [
        b"{",
        [],
        {},
        {"inputs": []},
        {"inputs": [3]},
        {"inputs": [{"name": "x"}]},
        {"inputs": [tensor(shape=(3,))]},
        {"inputs": [tensor(), tensor()]},
        {"inputs": [{**tensor(), "data": None, "parameters": {"binary_data_size": 8}}]},
    ],
)
def test_requests_that_break_the_protocol_are_a_400(serve: Any, document: Any):
    reply = serve(LISTS, infer(document))
    assert (reply.status, reply.json["code"]) == (400, "BadRequest")


@pytest.mark.parametrize("result", ["[[1], [2, 3]]", "None", "{'a': object()}"])
def test_a_result_no_tensor_can_be_made_of_is_a_500(serve: Any, result: Any):
    source = f"def init(): pass\ndef run(data): return {result}\n"
    assert serve(source, infer({"inputs": [tensor()]})).json["code"] == "ResultUnusable"


@pytest.mark.parametrize(
    "path", ["/v2/models/m/infer", "/v2/models/m/versions/2/infer", "/v2/models/digits/infer"]
)
def test_a_registered_model_answers_to_its_name_and_version(serve: Any, tmp_path: Any, path: Any):
    (tmp_path / "models/m/2").mkdir(parents=True)
    reply = serve(LISTS, infer({"inputs": [tensor()]}, path=path), model_dir=str(tmp_path / "models"))
    assert reply.status == 200


def call(method: Any, message: Any, *, headers: Any = None, body: Any = None) -> Any:
    framed = oip_grpc.frame(message.SerializeToString()) if body is None else body

    async def scenario(client: Any) -> Any:
        sent = {"content-type": "application/grpc", **(headers or {})}
        return await client.ask("POST", PREFIX + method, framed, headers=sent)

    return scenario


def request(**more: Any) -> Any:
    raw = np.array([[1, 2]], "<f4").tobytes()
    message = pb.ModelInferRequest(model_name="digits", raw_input_contents=[raw], **more)
    message.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    return message


def test_a_grpc_call_is_answered_with_raw_contents_and_status_0(serve: Any):
    reply = serve(LISTS, call("ModelInfer", request(id="9")))
    answer = pb.ModelInferResponse.FromString(oip_grpc.unframe(reply.body))
    assert reply.trailers == {"grpc-status": "0"}
    assert (answer.id, answer.model_version, answer.outputs[0].name) == ("9", "3", "output")
    assert np.frombuffer(answer.raw_output_contents[0]).tolist() == [1.0, 2.0]


def test_typed_contents_are_read_too():
    message = pb.ModelInferRequest()
    message.inputs.add(name="a", datatype="INT8", shape=[2]).contents.int_contents.extend([1, -1])
    message.inputs.add(name="b", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"x")
    assert [to_list(item) for item in messages.decode(message).inputs] == [[1, -1], ["x"]]


def wrong(**more: Any) -> Any:
    message = request()
    for name, value in more.items():
        setattr(message.inputs[0], name, value)
    return message


def shaped(*shape: Any) -> Any:
    message = request()
    message.inputs[0].shape[:] = shape
    return message


def unequal() -> Any:
    message = request()
    message.raw_input_contents.append(b"")
    return message


@pytest.mark.parametrize(
    "message",
    [
        wrong(datatype="FP31"),
        shaped(-1, 2),
        shaped(1, 3),
        shaped(1 << 40, 1 << 40),
        unequal(),
        pb.ModelInferRequest(model_name="digits"),
    ],
)
def test_tensors_that_do_not_hold_together_are_invalid_argument(serve: Any, message: Any):
    assert serve(LISTS, call("ModelInfer", message)).trailers["grpc-status"] == "3"


@pytest.mark.parametrize("body", [b"", b"\0\0\0\0\5abc", b"\0\0\0\0\1\xff"])
def test_broken_frames_and_messages_are_invalid_argument(serve: Any, body: Any):
    assert serve(LISTS, call("ModelInfer", None, body=body)).trailers["grpc-status"] == "3"


@pytest.mark.parametrize(
    ("method", "message", "headers", "status"),
    [
        ("Nothing", pb.ServerLiveRequest(), {}, "12"),
        ("ModelInfer", pb.ModelInferRequest(model_name="other"), {}, "5"),
        ("ModelReady", pb.ModelReadyRequest(name="digits", version="9"), {}, "5"),
        ("ServerLive", pb.ServerLiveRequest(), {"grpc-timeout": "soon"}, "3"),
        ("ModelInfer", request(), {"content-length": "1001"}, "8"),
    ],
)
def test_grpc_refusals_have_their_status(serve: Any, method: Any, message: Any, headers: Any, status: Any):
    assert (
        serve(LISTS, call(method, message, headers=headers), max_body_bytes=900).trailers["grpc-status"]
        == status
    )


def test_a_compressed_message_is_unimplemented(serve: Any):
    body = struct.pack(">BI", 1, 1) + b"x"
    assert serve(LISTS, call("ModelInfer", None, body=body)).trailers["grpc-status"] == "12"


def test_the_callers_deadline_ends_a_call(serve: Any):
    source = "import threading\ngate = threading.Event()\ndef init(): pass\ndef run(data): gate.wait(10)\n"

    async def scenario(client: Any) -> Any:
        reply = await call("ModelInfer", request(), headers={"grpc-timeout": "50m"})(client)
        sys.modules["score"].gate.set()
        return reply

    assert serve(source, scenario).trailers["grpc-status"] == "4"


def test_overload_is_resource_exhausted(serve: Any):
    source = (
        "import threading\ngate = threading.Event()\ndef init(): pass\n"
        "def run(data):\n    gate.wait(10)\n    return [1]\n"
    )

    async def scenario(client: Any) -> Any:
        first = asyncio.ensure_future(call("ModelInfer", request())(client))
        await client.until(lambda: client.service.gate.running == 1)
        second = await call("ModelInfer", request())(client)
        sys.modules["score"].gate.set()
        return (await first).trailers["grpc-status"], second.trailers["grpc-status"]

    assert serve(source, scenario, max_queued=0) == ("0", "8")


def test_a_run_that_raises_is_internal_without_its_text(serve: Any):
    source = "def init(): pass\ndef run(data): raise ValueError('secret')\n"
    trailers = serve(source, call("ModelInfer", request())).trailers
    assert trailers["grpc-status"] == "13"
    assert "secret" not in trailers["grpc-message"]


def test_rest_answers_hold_what_they_were_asked_for():
    asked = InferRequest("", (), binary_outputs=frozenset({"b"}))
    outputs = tuple(from_values(name, "INT8", [1], [1]) for name in "ab")
    body, length = rest.encode("m", "1", asked, outputs)
    document = json.loads(body[:length])
    assert [("data" in item) for item in document["outputs"]] == [True, False]
    assert body[length:] == b"\1"
