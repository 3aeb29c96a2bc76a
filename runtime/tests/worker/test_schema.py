"""`run()` with inference_schema's decorators, the library unmodified."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from modelyard_runtime.worker.failures import BadInput, ScriptError, ScriptRaised

from runtime.tests.worker.asking import fp32, got, inferring, posted, scored

HEAD = """
import datetime
import numpy as np
import pandas as pd
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema
def init(): pass
"""
NUMPY = (
    HEAD
    + """
@input_schema("data", NumpyParameterType(np.array([[1.5, 2.0]])))
@output_schema(NumpyParameterType(np.array([3.5])))
def run(data):
    if data[0][0] == 99: raise ValueError("mine")
    return data.sum(axis=1)
"""
)
PANDAS = (
    HEAD
    + """
@input_schema("data", PandasParameterType(pd.DataFrame({"a": [1], "b": [2.5]})))
def run(data): return data
"""
)
MANY = (
    HEAD
    + """
@input_schema("name", StandardPythonParameterType("x"))
@input_schema("when", StandardPythonParameterType(datetime.datetime(2026, 1, 1)))
@input_schema("tree", StandardPythonParameterType({"n": NumpyParameterType(np.array([[1, 2]])), "t": PandasParameterType(pd.DataFrame({"a": [1]}))}))
@input_schema("share", StandardPythonParameterType(0.5), optional=True)
def run(name, when, tree, share=0.25, request_headers=None):
    return [name, when.year, type(tree["n"]).__name__, type(tree["t"]).__name__, share, request_headers["Content-Type"]]
"""  # noqa: E501
)
POWER_BI = (
    HEAD
    + """
@input_schema("Inputs", StandardPythonParameterType({"data": PandasParameterType(pd.DataFrame({"a": [1]}))}))
@input_schema("GlobalParameters", StandardPythonParameterType(1.0))
@output_schema(StandardPythonParameterType({"Results": [1.0]}))
def run(Inputs, GlobalParameters): return {"Results": (Inputs["data"]["a"] * GlobalParameters).tolist()}
"""
)


def refused(script: Any, body: str, **more: Any) -> BadInput:
    with pytest.raises(BadInput) as caught:
        script.answer(posted(body, **more))
    return caught.value


def test_an_array_is_converted_and_the_answer_written(loaded: Any):
    assert scored(loaded(NUMPY), '{"data": [[1, 2], [3, 4]], "more": 1}') == [3.0, 7.0]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('{"data": [[1, 2], [3, "x"]]}', "data[1][1]"),
        ('{"data": [[1, 2], [3]]}', "data[1]"),
        ('{"data": [[1, 2, 3]]}', "data[0]"),
        ('{"data": [1, 2]}', "data[0]"),
        ('{"data": 3}', "data"),
        ('{"data": {"a": 1}}', "data"),
        ('{"datum": 3}', "data"),
    ],
)
def test_a_value_that_does_not_fit_is_bad_input_with_its_path(loaded: Any, body: str, place: str):
    failure = refused(loaded(NUMPY), body)
    assert (failure.status, failure.place) == (400, place)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('{"data": [{"a": 1, "b": 2}, {"a": "q", "b": 2}]}', "data[1].a"),
        ('{"data": [{"a": 1}]}', "data[0].b"),
        ('{"data": [{"a": 1, "b": 2, "c": 3}]}', "data[0].c"),
        ('{"data": [1]}', "data[0]"),
        ('{"data": 1}', "data"),
    ],
)
def test_a_table_that_does_not_fit_is_bad_input_with_its_path(loaded: Any, body: str, place: str):
    script = loaded(PANDAS)
    assert scored(script, '{"data": [{"b": 1.5, "a": 2}]}') == [{"b": 1.5, "a": 2}]
    assert refused(script, body).place == place


GOOD = {"name": "n", "when": "2026-02-03T04:05:06", "tree": {"n": [[1, 2]], "t": [{"a": 1}]}}


def test_decorators_stack_with_nested_types_defaults_and_headers(loaded: Any):
    script = loaded(MANY)
    assert scored(script, json.dumps(GOOD)) == ["n", 2026, "ndarray", "DataFrame", 0.25, "application/json"]
    assert scored(script, json.dumps({**GOOD, "share": 1}))[4] == 1


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": 3}, "name"),
        ({"when": "never"}, "when"),
        ({"tree": []}, "tree"),
        ({"tree": {"n": [[1, 2], [3]]}}, "tree.n[1]"),
        ({"tree": {"t": [{"a": 1}, {"a": "z"}]}}, "tree.t[1].a"),
        ({"share": "much"}, "share"),
    ],
)
def test_the_path_leads_into_nested_types(loaded: Any, change: dict[str, Any], place: str):
    assert refused(loaded(MANY), json.dumps({**GOOD, **change})).place == place


def test_power_bis_shape_works(loaded: Any):
    body = '{"Inputs": {"data": [{"a": 1}, {"a": 2}]}, "GlobalParameters": 2.0}'
    assert scored(loaded(POWER_BI), body) == {"Results": [2.0, 4.0]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "POST body is empty. Expecting a JSON dictionary."),
        ("{", "POST body could not be decoded as JSON: Expecting property name"),
        ("[1]", "POST body should be a JSON dictionary."),
        ("null", "POST body should be a JSON dictionary."),
        ("{}", "A value is not provided for the 'data' parameter."),
    ],
)
def test_v1s_messages_are_kept(loaded: Any, body: str, message: str):
    assert str(refused(loaded(NUMPY), body)).startswith(message)


@pytest.mark.parametrize("kind", [b"text/plain", b"", b"application/jsonx"])
def test_another_content_type_is_415(loaded: Any, kind: bytes):
    failure = refused(loaded(NUMPY), '{"data": [[1, 2]]}', headers=((b"content-type", kind),))
    assert (failure.status, str(failure)) == (415, "Expects Content-Type to be application/json")


@pytest.mark.parametrize(
    "kind", [b"application/json; charset=utf-8", b"application/vnd.x+json", b"Application/JSON"]
)
def test_what_counts_as_json_is_v1s(loaded: Any, kind: bytes):
    assert scored(loaded(NUMPY), '{"data": [[1, 2]]}', headers=((b"content-type", kind),)) == [3.0]


def test_a_get_carries_parameters(loaded: Any):
    assert json.loads(loaded(NUMPY).answer(got(b"data=[[1,2]]")).body) == [3.0]


def test_what_run_itself_raises_is_not_the_clients_fault(loaded: Any):
    with pytest.raises(ScriptRaised):
        loaded(NUMPY).answer(posted('{"data": [[99, 1]]}'))


def test_strict_v1_calls_a_mismatch_the_scripts_failure(loaded: Any):
    with pytest.raises(ScriptRaised):
        loaded(NUMPY, compat="strict-v1").answer(posted('{"data": 3}'))


def test_the_swagger_parts_come_from_the_samples(loaded: Any):
    description = loaded(NUMPY).description
    assert description.style == "schema"
    assert description.needs_headers
    assert description.input_schema["properties"]["data"]["format"] == "numpy.ndarray"
    assert description.input_schema["example"] == {"data": [[1.5, 2.0]]}
    assert description.output_schema["type"] == "array"
    json.dumps(description._asdict())


def test_a_sample_of_mixed_types_rules_swagger_2_out(loaded: Any):
    mixed = (
        HEAD + '@input_schema("data", StandardPythonParameterType([1, "a"]))\ndef run(data): return data\n'
    )
    assert loaded(mixed).description.swagger_versions == ("3.0", "3.1")


def test_tensors_become_parameters(loaded: Any):
    (tensor,) = loaded(NUMPY).answer(inferring(fp32("anything", [[1, 2]]))).outputs
    assert struct.unpack("<d", tensor.data) == (3.0,)


def test_a_script_loaded_after_a_decorated_one_is_itself(loaded: Any):
    loaded(NUMPY)
    assert loaded("def init(): pass\ndef run(data): return data\n").description.style == "text"


def test_an_async_decorated_run_is_awaited(loaded: Any):
    source = (
        HEAD + '@input_schema("data", NumpyParameterType(np.array([1])))\nasync def run(data): return data\n'
    )
    script = loaded(source)
    assert scored(script, '{"data": [5]}') == [5]
    assert refused(script, '{"data": ["x"]}').place == "data[0]"


def test_both_decorators_at_once_are_refused(loaded: Any):
    source = HEAD + (
        "from azureml.contrib.services.aml_request import rawhttp\n"
        '@rawhttp\n@input_schema("data", NumpyParameterType(np.array([1])))\ndef run(data): return data\n'
    )
    with pytest.raises(ScriptError, match="both @rawhttp and @input_schema") as caught:
        loaded(source)
    assert caught.value.exit_code == 13
