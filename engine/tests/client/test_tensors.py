from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import UserError
from modelyard.client import Tensor, inference
from modelyard_runtime.oip import open_inference_pb2 as oip


@pytest.mark.parametrize(
    "dtype",
    ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"],
)
def test_an_array_is_taken_byte_by_byte(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    tensor = Tensor.of(array)
    assert tensor.content == array.tobytes()
    assert tensor.tolist() == array.tolist()


def test_an_array_in_fortran_order_keeps_its_elements_in_place() -> None:
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert Tensor.of(array).tolist() == array.tolist()


@pytest.mark.parametrize("dtype", [">f8", "c8", "U3", "O"])
def test_an_array_the_protocol_has_no_name_for_is_refused(dtype: str) -> None:
    with pytest.raises(UserError, match="cannot be sent"):
        Tensor.of(np.zeros(2, dtype=dtype))


@given(
    rows=st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(-(2**63), 2**63 - 1), min_size=width, max_size=width), min_size=1, max_size=4
        )
    )
)
def test_nested_integers_come_back_as_they_went(rows: list[list[int]]) -> None:
    tensor = Tensor.of(rows)
    assert (tensor.datatype, tensor.shape) == ("INT64", (len(rows), len(rows[0])))
    assert tensor.tolist() == rows


@given(texts=st.lists(st.text()))
def test_texts_come_back_as_their_bytes(texts: list[str]) -> None:
    if texts:
        assert Tensor.of(texts).tolist() == [text.encode() for text in texts]


@pytest.mark.parametrize(
    ("value", "datatype", "shape"),
    [
        ([True, False], "BOOL", (2,)),
        ([1, 2.5], "FP64", (2,)),
        ([], "FP64", (0,)),
        ([[], []], "FP64", (2, 0)),
        ([["a"], ["b"]], "BYTES", (2, 1)),
    ],
)
def test_the_datatype_follows_the_elements(value: Any, datatype: str, shape: tuple[int, ...]) -> None:
    tensor = Tensor.of(value)
    assert (tensor.datatype, tensor.shape) == (datatype, shape)


@pytest.mark.parametrize("value", [[[1, 2], [3]], [1, [2]], [[1], 2], [1, "a"], [None], [2**70]])
def test_lists_that_are_no_tensor_are_refused(value: Any) -> None:
    with pytest.raises(UserError):
        Tensor.of(value)


def test_a_request_carries_names_types_shapes_and_raw_bytes() -> None:
    content = inference.encode("digits", {"a": [[1.5, 2.5]], "b": Tensor("UINT8", (2,), b"\x01\x02")})
    request = oip.ModelInferRequest.FromString(content)
    assert request.model_name == "digits"
    assert [(one.name, one.datatype, list(one.shape)) for one in request.inputs] == [
        ("a", "FP64", [1, 2]),
        ("b", "UINT8", [2]),
    ]
    assert request.raw_input_contents[1] == b"\x01\x02"


def test_an_answer_gives_its_tensors_by_name() -> None:
    reply = oip.ModelInferResponse(model_name="digits")
    reply.outputs.add(name="output", datatype="INT64", shape=[2])
    reply.raw_output_contents.append(np.array([3, 4]).tobytes())
    name, outputs = inference.decode(reply.SerializeToString())
    assert (name, outputs["output"].tolist()) == ("digits", [3, 4])
