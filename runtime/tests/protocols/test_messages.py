"""ModelInfer's messages: the short way by hand says what protobuf says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.oip import messages
from modelyard_runtime.oip import open_inference_pb2 as pb
from modelyard_runtime.oip.datatypes import DATATYPES, OipError
from modelyard_runtime.oip.wire import split_request
from modelyard_runtime.worker.nested import packed
from modelyard_runtime.worker.requests import Tensor

TYPED = {
    "BOOL": ("bool_contents", [True, False]),
    "UINT8": ("uint_contents", [0, 255]),
    "UINT16": ("uint_contents", [1, 65535]),
    "UINT32": ("uint_contents", [1, 2**32 - 1]),
    "UINT64": ("uint64_contents", [1, 2**64 - 1]),
    "INT8": ("int_contents", [1, -128]),
    "INT16": ("int_contents", [1, -1]),
    "INT32": ("int_contents", [1, -(2**31)]),
    "INT64": ("int64_contents", [1, -(2**63)]),
    "FP32": ("fp32_contents", [1.5, float("inf")]),
    "FP64": ("fp64_contents", [1.5, -1e300]),
    "BYTES": ("bytes_contents", [b"x", b"\xff"]),
}
NUMPY = {"FP": "f", "IN": "i", "UI": "u"}
text = st.text(max_size=20)


def raw_of(datatype: str, values: Any) -> bytes:
    if datatype == "BYTES":
        return packed(values)
    if datatype == "BOOL":
        return np.array(values).tobytes()
    return np.array(values, f"<{NUMPY[datatype[:2]]}{DATATYPES[datatype].size}").tobytes()


@st.composite
def requests(draw: Any) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(
        model_name=draw(text), model_version=draw(st.sampled_from(["", "1", "12"])), id=draw(text)
    )
    for name in draw(st.lists(text, min_size=1, max_size=3, unique=True)):
        datatype = draw(st.sampled_from(sorted(DATATYPES.keys() - {"BYTES"})))
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
        message.inputs.add(name=name, datatype=datatype, shape=shape)
        size = DATATYPES[datatype].size * int(np.prod(shape))
        message.raw_input_contents.append(draw(st.binary(min_size=size, max_size=size)))
    for name in draw(st.lists(text, max_size=2, unique=True)):
        message.outputs.add(name=name)
    if draw(st.booleans()):
        message.parameters["sequence_id"].int64_param = draw(st.integers(0, 9))
    return message


@given(requests(), st.binary(max_size=5))
def test_the_short_way_and_protobuf_read_the_same(message: pb.ModelInferRequest, before: bytes):
    content = message.SerializeToString()
    asked = messages.decode(before + content, len(before))
    assert (asked.model, asked.version, asked.id.decode()) == (
        message.model_name,
        message.model_version,
        message.id,
    )
    assert [(t.name, t.datatype, t.shape, bytes(t.data)) for t in asked.inputs] == [
        (t.name, t.datatype, tuple(t.shape), raw)
        for t, raw in zip(message.inputs, message.raw_input_contents, strict=True)
    ]
    assert asked.outputs == tuple(output.name for output in message.outputs)


@given(requests())
def test_fields_in_an_unusual_order_are_read_by_protobuf(message: pb.ModelInferRequest):
    raws = pb.ModelInferRequest(raw_input_contents=message.raw_input_contents).SerializeToString()
    rest = pb.ModelInferRequest()
    rest.CopyFrom(message)
    rest.ClearField("raw_input_contents")
    turned = raws + rest.SerializeToString()
    assert split_request(turned, 0) is None or not rest.inputs
    assert messages.decode(turned) == messages.decode(message.SerializeToString())


@given(requests(), st.randoms())
def test_a_message_cut_or_bent_anywhere_is_read_or_refused(message: pb.ModelInferRequest, random: Any):
    content = bytearray(message.SerializeToString())
    for _ in range(random.randint(1, 3)):
        position = random.randrange(len(content)) if content else 0
        content[position : position + random.randint(0, 2)] = random.randbytes(random.randint(0, 2))
    try:
        asked = messages.decode(bytes(content))
    except OipError:
        return
    whole = pb.ModelInferRequest.FromString(bytes(content))
    assert asked.model == whole.model_name
    assert asked.id.decode() == whole.id


def test_raw_contents_are_views_of_what_was_received():
    body = np.arange(1000, dtype=np.float32).tobytes()
    message = pb.ModelInferRequest(model_name="m", raw_input_contents=[body])
    message.inputs.add(name="x", datatype="FP32", shape=[1000])
    content = message.SerializeToString()
    (tensor,) = messages.decode(content).inputs
    assert isinstance(tensor.data, memoryview)
    assert tensor.data.obj is content


@pytest.mark.parametrize("datatype", sorted(TYPED))
def test_typed_contents_of_each_datatype(datatype: str):
    field, values = TYPED[datatype]
    message = pb.ModelInferRequest()
    getattr(message.inputs.add(name="x", datatype=datatype, shape=[2]).contents, field).extend(values)
    (tensor,) = messages.decode(message.SerializeToString()).inputs
    assert bytes(tensor.data) == raw_of(datatype, values)


def typed(datatype: str, field: str, values: Any, shape: Any = (1,)) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest()
    getattr(message.inputs.add(name="x", datatype=datatype, shape=shape).contents, field).extend(values)
    return message


def raw(shape: Any = (1,), content: bytes = b"1234", **more: Any) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(raw_input_contents=[content])
    message.inputs.add(**{"name": "x", "datatype": "FP32", "shape": shape, **more})
    return message


def doubled() -> pb.ModelInferRequest:
    message = raw()
    message.MergeFrom(raw())
    return message


def both() -> pb.ModelInferRequest:
    message = typed("FP32", "fp32_contents", [1.0])
    message.raw_input_contents.append(b"1234")
    return message


def uneven() -> pb.ModelInferRequest:
    message = raw()
    message.raw_input_contents.append(b"")
    return message


def shared(parameter: str) -> pb.ModelInferRequest:
    message = raw()
    message.inputs[0].parameters[parameter].string_param = "region"
    return message


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (pb.ModelInferRequest(), "inputs"),
        (raw(content=b"123"), "inputs[0]"),
        (raw(shape=(-1,)), "inputs[0].shape"),
        (raw(shape=(1 << 40, 1 << 40)), "inputs[0].shape"),
        (raw(shape=(1 << 62, 0)), "inputs[0].shape"),
        (raw(datatype="FP31"), "inputs[0].datatype"),
        (raw(datatype="BYTES", content=b"\5\0\0\0ab"), "inputs[0]"),
        (doubled(), "inputs"),
        (both(), "inputs[0]"),
        (uneven(), "raw_input_contents"),
        (typed("INT8", "int_contents", [128]), "inputs[0].contents[0]"),
        (typed("UINT16", "uint_contents", [1 << 16]), "inputs[0].contents[0]"),
        (typed("FP16", "fp32_contents", [1.0]), "inputs[0].contents"),
        (typed("BF16", "fp32_contents", [1.0]), "inputs[0].contents"),
        (typed("INT64", "int_contents", [1]), "inputs[0].contents.int_contents"),
        (typed("FP32", "fp32_contents", [1.0, 2.0]), "inputs[0]"),
        (typed("FP32", "fp32_contents", [1.0], shape=(1 << 31,)), "inputs[0].shape"),
        (shared("shared_memory_region"), "inputs[0].parameters.shared_memory_region"),
        (shared("classification"), "inputs[0].parameters.classification"),
    ],
)
def test_messages_that_break_the_protocol_are_refused_with_their_place(message: Any, place: str):
    for _ in range(2):  # the second time from memory
        with pytest.raises(OipError) as caught:
            messages.decode(message.SerializeToString())
        assert caught.value.place == place


@given(
    text,
    text,
    text,
    st.lists(
        st.tuples(
            text, st.sampled_from(sorted(DATATYPES)), st.lists(st.integers(0, 2**31), max_size=3), st.binary()
        )
    ),
)
def test_an_answer_written_by_hand_is_the_message_protobuf_reads(
    model: Any, version: Any, ident: Any, outputs: Any
):
    tensors = tuple(Tensor(name, datatype, tuple(shape), data) for name, datatype, shape, data in outputs)
    answer = pb.ModelInferResponse.FromString(
        b"".join(messages.encode(model, version, ident.encode(), tensors))
    )
    assert (answer.model_name, answer.model_version, answer.id) == (model, version, ident)
    assert [(o.name, o.datatype, tuple(o.shape)) for o in answer.outputs] == [
        tensor[:3] for tensor in tensors
    ]
    assert list(answer.raw_output_contents) == [tensor.data for tensor in tensors]
