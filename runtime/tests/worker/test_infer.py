"""`infer(inputs)`: arrays in, arrays out."""

from __future__ import annotations

import json
import struct
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from modelyard_runtime.worker import arrays
from modelyard_runtime.worker.failures import BadInput, ResultUnusable, ScriptError, ScriptRaised
from modelyard_runtime.worker.replies import InferredStream
from modelyard_runtime.worker.requests import Tensor

from runtime.tests.worker.asking import fp32, inferring, posted, scored

ECHO = "def init(): pass\ndef infer(inputs): return inputs\n"
DECLARED = """
INPUTS = [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
OUTPUTS = [{"name": "y", "datatype": "FP32", "shape": [-1]}]
def init(): pass
def infer(inputs): return inputs["x"].sum(axis=1)
"""
OF = {"BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2",
      "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}  # fmt: skip


def tensor_of(name: str, datatype: str, array: Any) -> Tensor:
    return Tensor(name, datatype, array.shape, array.tobytes())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(data=st.data(), datatype=st.sampled_from(sorted(OF)))
def test_every_datatype_survives(loaded: Any, data: Any, datatype: str):
    array = data.draw(hnp.arrays(OF[datatype], hnp.array_shapes(min_side=0, max_side=3)))
    tensor = tensor_of("x", datatype, array)
    (found,) = loaded(ECHO).answer(inferring(tensor)).outputs
    assert (found.name, found.datatype, found.shape, bytes(found.data)) == tensor


def test_bytes_are_an_array_of_bytes(loaded: Any):
    script = loaded(
        "def init(): pass\ndef infer(inputs): return {'y': inputs['x'][::-1], 'kind': inputs['x'].dtype.kind}\n"
    )
    data = b"".join(struct.pack("<I", len(item)) + item for item in (b"\xff", b"", b"abc"))
    y, kind = script.answer(inferring(Tensor("x", "BYTES", (3,), data))).outputs
    assert y == ("y", "BYTES", (3,), b"\x03\x00\x00\x00abc" + b"\x00\x00\x00\x00" + b"\x01\x00\x00\x00\xff")
    assert kind.data == b"\x01\x00\x00\x00O"


def test_arrays_are_views_that_cannot_be_written_to(loaded: Any):
    script = loaded(
        "def init(): pass\ndef infer(inputs):\n    global kept; kept = inputs['x']; return kept\n"
    )
    data = bytearray(struct.pack("<2f", 1, 2))
    script.answer(inferring(Tensor("x", "FP32", (1, 2), memoryview(data))))
    import score

    assert np.shares_memory(score.kept, np.frombuffer(data, np.float32))
    with pytest.raises(ValueError, match="read-only"):
        score.kept[0, 0] = 3


def test_bf16_is_ml_dtypes_own_type_and_goes_out_as_bf16(loaded: Any):
    array = np.array([1.5, -2.0], dtype=ml_dtypes.bfloat16)
    (tensor,) = loaded(ECHO).answer(inferring(Tensor("x", "BF16", (2,), array.tobytes()))).outputs
    assert tensor == ("x", "BF16", (2,), array.tobytes())


def test_bf16_is_widened_where_ml_dtypes_is_missing(loaded: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrays, "_bfloat16", lambda: None)
    array = np.array([1.5, -2.0], dtype=ml_dtypes.bfloat16)
    (tensor,) = loaded(ECHO).answer(inferring(Tensor("x", "BF16", (2,), array.tobytes()))).outputs
    assert (tensor.datatype, struct.unpack("<2f", tensor.data)) == ("FP32", (1.5, -2.0))


def test_an_array_that_the_script_fills_again_does_not_change_an_answer_given(loaded: Any):
    script = loaded(
        "import numpy as np\nbuffer = np.zeros(100_000, np.float32)\ndef init(): pass\n"
        "def infer(inputs):\n    buffer[:] = inputs['x'][0, 0]\n    return {'a': buffer, 'b': buffer[:50_000], 'c': buffer.reshape(2, -1)}\n"  # noqa: E501
    )
    first = script.answer(inferring(fp32("x", [[1]]))).outputs
    script.answer(inferring(fp32("x", [[2]])))
    assert {float(np.frombuffer(tensor.data, np.float32).max()) for tensor in first} == {1.0}


def test_a_fresh_large_array_leaves_without_a_copy(loaded: Any):
    script = loaded(
        "import numpy as np\ndef init(): pass\ndef infer(inputs): return {'y': np.ones((500, 500))}\n"
    )
    (tensor,) = script.answer(inferring(fp32("x", [[1]]))).outputs
    assert isinstance(tensor.data, memoryview)
    assert len(tensor.data) == 2_000_000


def test_json_is_asked_and_answered_by_name(loaded: Any):
    assert scored(loaded(ECHO), '{"x": [[1, 2]], "s": ["a"], "f": [0.5]}') == {
        "x": [[1, 2]],
        "s": ["a"],
        "f": [0.5],
    }


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("[1]", ""),
        ("{}", ""),
        ("{", ""),
        ('{"x": [[1], [1, 2]]}', "x"),
        ('{"x": [1, "a"]}', "x"),
        ('{"x": [null]}', "x"),
    ],
)
def test_json_no_array_can_be_made_of_is_bad_input(loaded: Any, body: str, place: str):
    with pytest.raises(BadInput) as caught:
        loaded(ECHO).answer(posted(body))
    assert caught.value.place == place


def test_headers_reach_infer(loaded: Any):
    script = loaded(
        "def init(): pass\ndef infer(inputs, request_headers): return [request_headers['X-Team']]\n"
    )
    assert script.description.needs_headers
    (tensor,) = script.answer(inferring(fp32("x", [[1]]), headers=((b"x-team", b"blue"),))).outputs
    assert tensor.data == b"\x04\x00\x00\x00blue"


def test_a_generator_answers_several_times(loaded: Any):
    script = loaded(
        "def init(): pass\ndef infer(inputs):\n    for n in range(2): yield {'n': inputs['x'] + n}\n"
    )
    reply = script.answer(inferring(fp32("x", [[1]])))
    assert isinstance(reply, InferredStream)
    assert [struct.unpack("<f", part[0].data) for part in reply.parts] == [(1.0,), (2.0,)]
    assert b"".join(script.answer(posted('{"x": [1]}')).chunks) == b'{"n":[1]}\n{"n":[2]}\n'


def test_declarations_are_told_and_name_a_single_output(loaded: Any):
    script = loaded(DECLARED)
    assert script.description.style == "tensors"
    assert script.description.tensors_in == [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
    assert script.description.tensors_out == [{"name": "y", "datatype": "FP32", "shape": [-1]}]
    (tensor,) = script.answer(inferring(fp32("x", [[1, 2]]))).outputs
    assert (tensor.name, tensor.datatype, struct.unpack("<f", tensor.data)) == ("y", "FP32", (3.0,))
    assert scored(script, '{"x": [[1, 2]]}') == {"y": [3.0]}


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ([], "'x' is missing"),
        ([fp32("x", [[1]])], "must have the shape"),
        ([Tensor("x", "FP64", (1, 2), bytes(16))], "must be FP32"),
        ([fp32("x", [[1, 2]]), fp32("z", [[1]])], "no input 'z'"),
    ],
)
def test_a_request_that_breaks_the_declaration_is_bad_input(loaded: Any, tensors: list[Tensor], says: str):
    with pytest.raises(BadInput, match=says):
        loaded(DECLARED).answer(inferring(*tensors))


@pytest.mark.parametrize("body", ['{"y": [[1, 2]]}', '{"x": [1, 2]}', '{"x": [["a", "b"]]}'])
def test_json_that_breaks_the_declaration_is_bad_input_at_its_name(loaded: Any, body: str):
    with pytest.raises(BadInput) as caught:
        loaded(DECLARED).answer(posted(body))
    assert caught.value.place == "x"


def test_a_declared_integer_takes_no_fraction_and_nothing_outside_it(loaded: Any):
    script = loaded(DECLARED.replace("FP32", "INT8"))
    for body in ('{"x": [[1.5, 2]]}', '{"x": [[300, 2]]}'):
        with pytest.raises(BadInput):
            script.answer(posted(body))


@pytest.mark.parametrize(
    "declaration",
    ["INPUTS = 3", "INPUTS = []", "INPUTS = [3]", "INPUTS = [{'name': 'x'}]",
     "OUTPUTS = [{'name': 'x', 'datatype': 'FP99', 'shape': [1]}]",
     "INPUTS = [{'name': 'x', 'datatype': 'FP32', 'shape': [-2]}]",
     "INPUTS = [{'name': 'x', 'datatype': 'FP32', 'shape': [1]}] * 2"],
)  # fmt: skip
def test_a_declaration_that_makes_no_sense_is_a_broken_contract(loaded: Any, declaration: str):
    with pytest.raises(ScriptError) as caught:
        loaded(f"{declaration}\n{ECHO}")
    assert caught.value.exit_code == 13


@pytest.mark.parametrize("result", ["None", "{}", "{'y': [[1], [1, 2]]}", "{'y': object()}", "{'y': 1j}"])
def test_a_result_that_is_no_tensor_is_unusable(loaded: Any, result: str):
    with pytest.raises(ResultUnusable):
        loaded(f"def init(): pass\ndef infer(inputs): return {result}\n").answer(inferring(fp32("x", [[1]])))


def test_what_infer_raises_is_its_failure(loaded: Any):
    with pytest.raises(ScriptRaised, match="infer"):
        loaded("def init(): pass\ndef infer(inputs): 1 / 0\n").answer(inferring(fp32("x", [[1]])))


def test_run_beside_infer_answers_score(loaded: Any):
    script = loaded(ECHO + "def run(data): return 'run'\n")
    assert scored(script, "") == "run"
    assert script.answer(inferring(fp32("x", [[1]]))).outputs[0].name == "x"
    assert json.loads(json.dumps(script.description._asdict()))["style"] == "text"
