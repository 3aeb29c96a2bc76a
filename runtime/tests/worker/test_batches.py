"""Requests together: never another result."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelyard_runtime.worker.failures import BadInput, Failure, ScriptError, ScriptRaised

from runtime.tests.worker.asking import fp32, inferring, posted

TEXT = """
import json
sizes = []
def init(): pass
def run(data): return answer(data)
def answer(data): return sum(json.loads(data))
def run_batch(items):
    sizes.append(len(items))
    return [answer(item) for item in items]
"""
SCHEMA = """
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema
seen = []
def init(): pass
@input_schema("data", NumpyParameterType(np.array([[0.5, 1.5]])))
@input_schema("scale", StandardPythonParameterType(1.0), optional=True)
@output_schema(NumpyParameterType(np.array([2.0])))
def run(data, scale=1.0): return answer(data, scale)
def answer(data, scale):
    if scale == 99: raise ValueError("99")
    return [type(data).__name__, (data.sum(axis=1) * scale).tolist()]
def run_batch(items):
    seen.append([sorted(item) for item in items])
    return [answer(**item) for item in items]
"""
ARRAYS = """
BATCHABLE = True
sizes = []
def init(): pass
def infer(inputs):
    x = inputs["x"]
    sizes.append(x.shape[0])
    if (x == 99).any(): raise ValueError("99")
    return {"sum": x.sum(axis=1), "double": x * 2}
"""


def told(outcomes: Any) -> list[Any]:
    """Return outcomes without the time they took."""
    return [
        (type(outcome).__name__, str(outcome))
        if isinstance(outcome, Failure)
        else outcome._replace(elapsed_ms=0.0)
        for outcome in outcomes
    ]


BODIES = st.lists(st.sampled_from(["[1]", "[2, 3]", "[]", "{", '["a"]', b"\xff"]), max_size=6)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=40,
    deadline=None,
)
@given(bodies=BODIES)
def test_a_batch_of_texts_answers_what_each_alone_would(loaded: Any, bodies: list[Any]):
    script = loaded(TEXT, batching=True)
    requests = [posted(body) for body in bodies]
    assert told(script.answer_batch(requests)) == told(
        outcome for r in requests for outcome in script.answer_batch([r])
    )


SCHEMA_BODIES = st.lists(
    st.sampled_from(
        [
            '{"data": [[1, 2]]}',
            '{"data": [[1, 2]], "scale": 2.0}',
            '{"data": [[1, 2]], "scale": null}',
            '{"data": [[1, 2]], "scale": 99.0}',
            '{"data": [[1, 2, 3]]}',
            '{"data": [["a", 2]]}',
            '{"scale": 2.0}',
            "[",
        ]
    ),
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(bodies=SCHEMA_BODIES)
def test_a_batch_for_a_schema_answers_what_each_alone_would(loaded: Any, bodies: list[str]):
    script = loaded(SCHEMA, batching=True)
    requests = [posted(body) for body in bodies]
    assert told(script.answer_batch(requests)) == told(
        outcome for r in requests for outcome in script.answer_batch([r])
    )


def test_a_batch_for_a_schema_gets_the_arguments_that_run_would_get(loaded: Any):
    script = loaded(SCHEMA, batching=True)
    outcomes = script.answer_batch([posted('{"data": [[1, 2]], "scale": 2}'), posted('{"data": [[3, 4]]}')])
    import score

    assert [outcome.body for outcome in outcomes] == [b'["ndarray",[6.0]]', b'["ndarray",[7.0]]']
    assert score.seen == [[["data", "scale"], ["data", "scale"]]]


def test_a_value_that_does_not_fit_is_told_with_its_place_in_a_batch_too(loaded: Any):
    script = loaded(SCHEMA, batching=True)
    wrong, right = script.answer_batch([posted('{"data": [[1, "a"]]}'), posted('{"data": [[3, 4]]}')])
    assert (type(wrong), wrong.place) == (BadInput, "data[0][1]")
    assert right.body == b'["ndarray",[7.0]]'


def test_strict_v1_calls_a_mismatch_the_scripts_failure_in_a_batch_too(loaded: Any):
    script = loaded(SCHEMA, batching=True, compat="strict-v1")
    outcomes = script.answer_batch([posted('{"data": 3}'), posted('{"data": [[3, 4]]}')])
    assert [type(outcome).__name__ for outcome in outcomes] == ["ScriptRaised", "Scored"]


def test_tensors_for_a_schema_run_together(loaded: Any):
    script = loaded(
        SCHEMA.replace("[type(data).__name__, (data.sum(axis=1) * scale).tolist()]", "data"), batching=True
    )
    outcomes = script.answer_batch([inferring(fp32("data", [[1, 2]])), inferring(fp32("data", [[3, 4]]))])
    assert [struct.unpack("<2d", outcome.outputs[0].data) for outcome in outcomes] == [(1, 2), (3, 4)]
    import score

    assert len(score.seen) == 1


TENSORS = st.lists(
    st.builds(
        lambda rows, width, first: fp32("x", [[first] * width for _ in range(rows)]),
        st.integers(1, 3), st.integers(1, 2), st.sampled_from([1.0, 2.5, 99.0]),
    ),
    max_size=6,
)  # fmt: skip


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=40,
    deadline=None,
)
@given(tensors=TENSORS)
def test_a_batch_of_arrays_answers_what_each_alone_would(loaded: Any, tensors: list[Any]):
    script = loaded(ARRAYS, batching=True)
    requests = [inferring(tensor) for tensor in tensors]
    alone = [outcome for request in requests for outcome in script.answer_batch([request])]
    assert told(script.answer_batch(requests)) == told(alone)


def test_texts_really_run_together(loaded: Any):
    script = loaded(TEXT, batching=True)
    assert script.description.batchable
    script.answer_batch([posted("[1]")] * 3)
    import score

    assert score.sizes == [3]


def test_arrays_really_run_together_and_come_back_by_rows(loaded: Any):
    script = loaded(ARRAYS, batching=True)
    found = script.answer_batch(
        [inferring(fp32("x", [[1], [2]])), posted('{"x": [[3.0]]}'), inferring(fp32("x", [[4]]))]
    )
    import score

    assert sorted(score.sizes) == [1, 3]
    assert [struct.unpack(f"<{o.outputs[0].shape[0]}f", o.outputs[0].data) for o in (found[0], found[2])] == [
        (1, 2),
        (4,),
    ]


def test_one_bad_item_never_fails_its_neighbours(loaded: Any):
    outcomes = loaded(TEXT, batching=True).answer_batch(
        [posted("[1]"), posted("{"), posted(b"\xff"), posted("[2]")]
    )
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "Scored",
        "ScriptRaised",
        "BadInput",
        "Scored",
    ]
    arrays = loaded(ARRAYS, batching=True)
    outcomes = arrays.answer_batch(
        [inferring(fp32("x", [[1]])), inferring(fp32("x", [[99]])), inferring(fp32("x", [[2]]))]
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["Inferred", "ScriptRaised", "Inferred"]


def test_results_that_do_not_match_the_items_are_not_used(loaded: Any, capsys: Any):
    script = loaded(TEXT.replace("for item in items]", "for item in items][:1]"), batching=True)
    assert [outcome.body for outcome in script.answer_batch([posted("[1]"), posted("[2]")])] == [b"1", b"2"]
    assert "1 results for 2 items" in capsys.readouterr().err


def test_outputs_without_a_row_for_each_row_are_not_split(loaded: Any):
    script = loaded(
        "BATCHABLE = True\ndef init(): pass\ndef infer(inputs): return inputs['x'].sum(axis=0)\n",
        batching=True,
    )
    outcomes = script.answer_batch([inferring(fp32("x", [[1]])), inferring(fp32("x", [[2]]))])
    assert [struct.unpack("<f", outcome.outputs[0].data) for outcome in outcomes] == [(1.0,), (2.0,)]


def test_headers_reach_a_batch_in_order(loaded: Any):
    source = "def init(): pass\ndef run(data): return 0\ndef run_batch(items, request_headers): return [h['N'] for h in request_headers]\n"  # noqa: E501
    outcomes = loaded("def run(data, request_headers): pass\n" + source, batching=True).answer_batch(
        [posted("", headers=((b"n", b"%d" % n),)) for n in range(3)]
    )
    assert [outcome.body for outcome in outcomes] == [b'"0"', b'"1"', b'"2"']


RAW = """
from azureml.contrib.services.aml_request import rawhttp
def init(): pass
@rawhttp
def run(request): return 1
def run_batch(items): return items
"""
OTHERWISE_DECORATED = SCHEMA.replace(
    '@input_schema("data"',
    "import functools\n"
    "def around(function): return functools.wraps(function)(lambda **more: function(**more))\n"
    '@around\n@input_schema("data"',
)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def init(): pass\ndef run(data): return 1\n", "declares no batches"),
        ("def init(): pass\ndef infer(inputs): return 1\n", "declares no batches"),
        (RAW, "decorated with @rawhttp"),
        (OTHERWISE_DECORATED, "another decorator than inference_schema's"),
        (
            "BATCHABLE = True\ndef init(): pass\ndef infer(inputs, request_headers): return 1\n",
            "request_headers",
        ),
        (
            "BATCHABLE = True\nINPUTS = [{'name': 'x', 'datatype': 'FP32', 'shape': [1, 4]}]\ndef init(): pass\n"  # noqa: ISC004
            "def infer(inputs): return 1\n",
            "first dimension",
        ),
    ],
)
def test_batching_that_cannot_be_is_refused_at_the_start(loaded: Any, source: str, says: str):
    with pytest.raises(ScriptError, match=says) as caught:
        loaded(source, batching=True)
    assert caught.value.exit_code == 13


def test_failures_keep_their_kinds(loaded: Any):
    outcomes = loaded(TEXT, batching=True).answer_batch([posted(b"\xff"), posted("{")])
    assert isinstance(outcomes[0], BadInput)
    assert isinstance(outcomes[1], ScriptRaised)
