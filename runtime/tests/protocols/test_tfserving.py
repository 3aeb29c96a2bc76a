"""TensorFlow Serving's Predict: every form of a tensor, and a client of old over the wire."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from google.protobuf.message import DecodeError
from grpc_calls import INFER, call, details, frames, status
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from modelyard_runtime.oip.datatypes import DATATYPES, OipError
from modelyard_runtime.tfserving import predict, tensors
from modelyard_runtime.tfserving import predict_pb2 as pb
from modelyard_runtime.tfserving import tensor_pb2 as tf
from modelyard_runtime.worker.requests import Tensor

LIMIT = 10_000
PREDICT = "/tensorflow.serving.PredictionService/Predict"
DTYPES = {
    tf.DT_FLOAT: "<f4",
    tf.DT_DOUBLE: "<f8",
    tf.DT_INT32: "<i4",
    tf.DT_UINT8: "u1",
    tf.DT_INT16: "<i2",
    tf.DT_INT8: "i1",
    tf.DT_INT64: "<i8",
    tf.DT_BOOL: "?",
    tf.DT_UINT16: "<u2",
    tf.DT_HALF: "<f2",
    tf.DT_UINT32: "<u4",
    tf.DT_UINT64: "<u8",
    tf.DT_BFLOAT16: "<u2",  # its bits
}


def proto(dtype: Any, shape: Any, **fields: Any) -> tf.TensorProto:
    made = tf.TensorProto(dtype=dtype, **fields)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


def decode(message: tf.TensorProto) -> Tensor:
    return tensors.decode("x", message, limit_bytes=LIMIT)


def test_every_datatype_has_a_data_type():
    assert set(tensors.DATA_TYPES) == set(DATATYPES)
    assert set(DTYPES) == set(tensors.KINDS) - {tf.DT_STRING}


@given(
    st.sampled_from(sorted(DTYPES)).flatmap(
        lambda dtype: st.tuples(
            st.just(dtype),
            arrays.arrays(DTYPES[dtype], arrays.array_shapes(min_dims=0, max_dims=3, min_side=0)),
        )
    )
)
def test_a_tensor_survives_as_content_and_as_values(case: Any):
    dtype, array = case
    tensor = decode(proto(dtype, array.shape, tensor_content=array.tobytes()))
    assert (tensor.shape, bytes(tensor.data)) == (array.shape, array.tobytes())
    back = decode(tf.TensorProto.FromString(tensors.encode(tensor).SerializeToString()))
    assert back == tensor


@given(st.lists(st.binary(), min_size=1))
def test_text_survives(items: list[bytes]):
    tensor = decode(proto(tf.DT_STRING, (len(items),), string_val=items))
    assert list(tensors.encode(tensor).string_val) == items


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (proto(tf.DT_FLOAT, (2, 2), float_val=[1.5]), np.full((2, 2), 1.5, "<f4")),
        (proto(tf.DT_INT8, (3,), int_val=[1, -2]), np.array([1, -2, -2], "i1")),
        (proto(tf.DT_INT64, (2,)), np.zeros(2, "<i8")),
        (proto(tf.DT_HALF, (2,), half_val=[0x3C00]), np.ones(2, "<f2")),
        (proto(tf.DT_BFLOAT16, (1,), half_val=[0x3F80]), np.ones(1, ml_dtypes.bfloat16)),
        (proto(tf.DT_BOOL, (2,), bool_val=[True, False]), np.array([True, False])),
        (proto(tf.DT_UINT64, (), uint64_val=[2**64 - 1]), np.array(2**64 - 1, "<u8")),
    ],
)
def test_short_lists_are_filled_as_tensorflow_fills_them(message: Any, expected: Any):
    tensor = decode(message)
    assert (tensor.shape, bytes(tensor.data)) == (expected.shape, expected.tobytes())


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (proto(tf.DT_INVALID, (1,)), "dtype"),
        (proto(8, (1,)), "dtype"),
        (tf.TensorProto(dtype=tf.DT_FLOAT, tensor_shape={"unknown_rank": True}), "tensor_shape"),
        (proto(tf.DT_FLOAT, (-1,)), "shape"),
        (proto(tf.DT_FLOAT, (1 << 31,), float_val=[1.0]), "shape"),
        (proto(tf.DT_FLOAT, (1 << 20,), float_val=[1.0]), ""),
        (proto(tf.DT_STRING, (100,), string_val=[b"x" * 1000]), ""),
        (proto(tf.DT_FLOAT, (1,), tensor_content=b"123"), ""),
        (proto(tf.DT_FLOAT, (1,), float_val=[1, 2]), ""),
        (proto(tf.DT_FLOAT, (1,), int_val=[1]), "int_val"),
        (proto(tf.DT_FLOAT, (1,), float_val=[1], tensor_content=b"1234"), "float_val"),
        (proto(tf.DT_STRING, (1,), tensor_content=b"1234"), "tensor_content"),
        (proto(tf.DT_INT8, (1,), int_val=[128]), "contents[0]"),
        (proto(tf.DT_HALF, (1,), half_val=[-1]), "half_val"),
    ],
)
def test_tensors_that_do_not_hold_together_are_refused_with_their_place(message: Any, place: str):
    with pytest.raises(OipError) as caught:
        decode(message)
    assert caught.value.place == f"inputs['x'].{place}".rstrip(".")


@given(st.binary(max_size=60))
def test_any_message_is_a_request_or_refused(junk: bytes):
    try:
        message = pb.PredictRequest.FromString(junk)
    except DecodeError:
        return
    try:
        asked = predict.decode(message, limit_bytes=LIMIT)
    except OipError:
        return
    assert asked.inputs


def request(**spec: Any) -> pb.PredictRequest:
    message = pb.PredictRequest(model_spec=spec)
    message.inputs["images"].CopyFrom(proto(tf.DT_FLOAT, (1, 2), float_val=[1.5, 2.5]))
    return message


@pytest.mark.parametrize("spec", [{}, {"name": "digits", "signature_name": "serving_default"}])
def test_predict_is_answered_in_the_lists_of_the_types(serve: Any, spec: Any):
    reply = serve(INFER, call(PREDICT, request(**spec)))
    (content,) = frames(reply.body)
    answer = pb.PredictResponse.FromString(content)
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("digits", 3)
    assert list(answer.outputs["y"].float_val) == [1.5, 2.5]
    assert [dim.size for dim in answer.outputs["y"].tensor_shape.dim] == [1, 2]


def test_a_version_and_an_output_filter_choose(serve: Any):
    script = (
        "def init(): pass\ndef infer(inputs): return {'a': inputs['images'], 'b': inputs['images'] * 2}\n"
    )
    message = request(name="digits", version={"value": 3})
    message.output_filter.append("b")
    (content,) = frames(serve(script, call(PREDICT, message)).body)
    assert set(pb.PredictResponse.FromString(content).outputs) == {"b"}


@pytest.mark.parametrize(
    ("spec", "code", "place"),
    [
        ({"name": "other"}, 5, ""),
        ({"version": {"value": 9}}, 5, ""),
        ({"version_label": "stable"}, 3, "model_spec.version_label"),
        ({"signature_name": "classify"}, 3, "model_spec.signature_name"),
    ],
)
def test_models_and_signatures_there_are_none_of_are_refused(serve: Any, spec: Any, code: int, place: str):
    reply = serve(INFER, call(PREDICT, request(**spec)))
    assert status(reply) == code
    assert ("BadRequest" in details(reply)[1]) == bool(place)


def test_metadata_holds_the_declared_tensors_as_a_signature(serve: Any):
    script = (
        "INPUTS = [{'name': 'x', 'datatype': 'FP32', 'shape': [-1, 2]}]\n"
        "def init(): pass\ndef infer(inputs): return inputs\n"
    )
    asked = pb.GetModelMetadataRequest(metadata_field=["signature_def"])
    (content,) = frames(
        serve(script, call("/tensorflow.serving.PredictionService/GetModelMetadata", asked)).body
    )
    packed = pb.GetModelMetadataResponse.FromString(content).metadata["signature_def"]
    signature = pb.SignatureDefMap.FromString(packed.value).signature_def["serving_default"]
    assert signature.inputs["x"].dtype == tf.DT_FLOAT
    assert [dim.size for dim in signature.inputs["x"].tensor_shape.dim] == [-1, 2]


def test_the_status_of_a_model_is_available_once_it_is_ready(serve: Any):
    asked = pb.GetModelStatusRequest(model_spec={"name": "digits"})
    (content,) = frames(serve(INFER, call("/tensorflow.serving.ModelService/GetModelStatus", asked)).body)
    (found,) = pb.GetModelStatusResponse.FromString(content).model_version_status
    assert (found.version, found.state) == (3, pb.ModelVersionStatus.AVAILABLE)


def test_text_goes_in_as_string_val_and_comes_back(serve: Any):
    message = pb.PredictRequest()
    message.inputs["images"].CopyFrom(proto(tf.DT_STRING, (1,), string_val=[b"\xff\xd8jpeg"]))
    (content,) = frames(serve(INFER, call(PREDICT, message)).body)
    assert list(pb.PredictResponse.FromString(content).outputs["y"].string_val) == [b"\xff\xd8jpeg"]
