"""The protocol as JSON, with and without raw tensors behind it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.oip import rest
from modelyard_runtime.oip.datatypes import DATATYPES, OipError
from modelyard_runtime.worker.requests import Tensor

X = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}
RAW = {"name": "x", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}}


def body(*inputs: Any, **more: Any) -> bytes:
    return json.dumps({"inputs": list(inputs), **more}).encode()


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (b"{", ""),
        (b"[]", ""),
        (b"{}", "inputs"),
        (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [NaN]}]}', ""),
        (body(), "inputs"),
        (body(3), "inputs"),
        (body({"name": "x"}), "inputs[0].datatype"),
        (body({**X, "shape": [3]}), "inputs[0]"),
        (body({**X, "shape": [True, 2]}), "inputs[0].shape"),
        (body({**X, "shape": [1.0, 2]}), "inputs[0].shape"),
        (body({**X, "shape": "12"}), "inputs[0].shape"),
        (body(X, X), "inputs"),
        (body({"name": "x", "datatype": "FP32", "shape": [2]}), "inputs[0]"),
        (body({**X, "parameters": []}), "inputs[0].parameters"),
        (body(RAW), "inputs[0].parameters.binary_data_size"),
        (body({**RAW, "parameters": {"binary_data_size": -1}}), "inputs[0].parameters.binary_data_size"),
        (body({**RAW, "parameters": {"binary_data_size": 1.5}}), "inputs[0].parameters.binary_data_size"),
        (body(X, id=7), "id"),
        (body(X, outputs={}), "outputs"),
        (body(X, outputs=[{}]), "outputs[0].name"),
        (body(X, outputs=[{"name": "y"}, {"name": "y"}]), "outputs"),
        (
            body(X, outputs=[{"name": "y", "parameters": {"binary_data": 1}}]),
            "outputs[0].parameters.binary_data",
        ),
        (
            body(X, outputs=[{"name": "y", "parameters": {"classification": 3}}]),
            "outputs[0].parameters.classification",
        ),
    ],
)
def test_bodies_that_break_the_protocol_are_refused_with_their_place(document: bytes, place: str):
    with pytest.raises(OipError) as caught:
        rest.decode(document, None)
    assert caught.value.place == place


@pytest.mark.parametrize("length", [b"-1", b"x", b"", b"99999", b"9" * 5000])
def test_a_header_length_outside_the_body_is_refused(length: bytes):
    with pytest.raises(OipError, match="Inference-Header-Content-Length"):
        rest.decode(body(X), length)


def test_raw_tensors_are_views_of_the_body_in_the_order_of_the_inputs():
    head = body({**RAW, "name": "a"}, X, {**RAW, "name": "b"})
    whole = head + bytes(range(16))
    a, x, b = rest.decode(whole, b"%d" % len(head)).inputs
    assert (bytes(a.data), bytes(b.data)) == (bytes(range(8)), bytes(range(8, 16)))
    assert isinstance(a.data, memoryview)
    assert a.data.obj is whole
    assert x.shape == (1, 2)


def test_bytes_left_behind_the_last_tensor_are_refused():
    head = body(RAW)
    with pytest.raises(OipError, match="1 bytes are left"):
        rest.decode(head + bytes(9), b"%d" % len(head))


def test_data_beside_its_binary_size_is_refused():
    head = body({**RAW, "data": [1, 2]})
    with pytest.raises(OipError, match="both"):
        rest.decode(head + bytes(8), b"%d" % len(head))


@pytest.mark.parametrize(
    ("more", "binary"),
    [
        ({}, frozenset()),
        ({"parameters": {"binary_data_output": True}}, None),
        ({"outputs": [{"name": "y"}], "parameters": {"binary_data_output": True}}, {"y"}),
        (
            {
                "outputs": [{"name": "y", "parameters": {"binary_data": False}}, {"name": "z"}],
                "parameters": {"binary_data_output": True},
            },
            {"z"},
        ),
        ({"outputs": [{"name": "y", "parameters": {"binary_data": True}}, {"name": "z"}]}, {"y"}),
    ],
)
def test_which_outputs_travel_raw_is_the_clients_choice(more: Any, binary: Any):
    assert rest.decode(body(X, **more), None).binary == binary


def test_an_answer_holds_text_and_raw_tensors_as_asked():
    asked = rest.RestRequest("7", (), (), frozenset({"b"}))
    outputs = tuple(Tensor(name, "INT8", (1,), b"\1") for name in "ab")
    payload, length = rest.encode("m", "1", asked, outputs)
    document = json.loads(payload[:length])
    assert document["id"] == "7"
    assert [("data" in item) for item in document["outputs"]] == [True, False]
    assert document["outputs"][1]["parameters"] == {"binary_data_size": 1}
    assert payload[length:] == b"\1"


def test_what_is_no_number_becomes_null_in_json_and_travels_raw_unharmed():
    data = np.array([np.nan, np.inf, 1], "<f4").tobytes()
    outputs = (Tensor("y", "FP32", (3,), data),)
    payload, length = rest.encode("m", "1", rest.RestRequest("", (), (), frozenset()), outputs)
    assert (json.loads(payload)["outputs"][0]["data"], length) == ([None, None, 1.0], None)
    payload, length = rest.encode("m", "1", rest.RestRequest("", (), (), None), outputs)
    assert payload[length:] == data


@given(st.sampled_from(sorted(DATATYPES.keys() - {"BYTES"})), st.integers(0, 5), st.data())
def test_an_answers_values_are_a_requests_values(datatype: str, rows: int, data: Any):
    size = DATATYPES[datatype].size * rows
    raw = data.draw(st.binary(min_size=size, max_size=size))
    if datatype == "BOOL":
        raw = bytes(byte & 1 for byte in raw)
    sent = Tensor("x", datatype, (rows,), raw)
    payload, _ = rest.encode("m", "1", rest.RestRequest("", (), (), frozenset()), (sent,))
    output = orjson.loads(payload)["outputs"][0]
    if None in output["data"]:
        return  # not a number: JSON cannot say which
    (back,) = rest.decode(orjson.dumps({"inputs": [output]}), None).inputs
    assert bytes(back.data) == raw


@given(st.binary(max_size=60), st.none() | st.integers(0, 70))
def test_any_bytes_are_a_request_or_an_oip_error(junk: bytes, length: int | None):
    with pytest.raises(OipError):
        rest.decode(junk, None if length is None else b"%d" % length)
