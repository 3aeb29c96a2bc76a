"""Scripts with inference_schema's decorators: every type, its good and bad requests, its swagger."""

from __future__ import annotations

from runtime.tests.conformance.cases import Case, Group, got, posted

_HEAD = """
import numpy as np
import pandas as pd
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

def init():
    pass
"""
_NAMED = {"SERVICE_NAME": "digits", "SERVICE_VERSION": "3", "SERVICE_PATH_PREFIX": "/api/v1/service/digits"}
SWAGGERS = tuple(
    got(f"swagger {version}", f"/swagger.json?version={version}") for version in ("2", "3", "3.1")
)

NUMPY = Group(
    "numpy",
    _HEAD
    + """
@input_schema("data", NumpyParameterType(np.array([[1.5, 2.0], [3.0, 4.0]])))
@output_schema(NumpyParameterType(np.array([3.5])))
def run(data):
    return [type(data).__name__, str(data.dtype), list(data.shape), data.sum(axis=1).tolist()]
""",
    (
        posted("one row", '{"data": [[1.0, 2.0]]}'),
        posted("three rows of integers", '{"data": [[1, 2], [3, 4], [5, 6]]}'),
        posted("no rows", '{"data": []}'),
        posted("keys too many", '{"data": [[1, 2]], "more": 1}'),
        posted("a row too wide", '{"data": [[1, 2, 3]]}'),
        posted("rows of two widths", '{"data": [[1, 2], [3]]}'),
        posted("a dimension too few", '{"data": [1, 2]}'),
        posted("text for numbers", '{"data": [["a", "b"]]}'),
        posted("numbers as text", '{"data": [["1", "2"]]}'),
        posted("null for the array", '{"data": null}'),
        posted("null for a number", '{"data": [[null, 1]]}'),
        posted("an object for the array", '{"data": {"a": 1}}'),
        posted("a scalar for the array", '{"data": 3}'),
        posted("a missing key", '{"datum": [[1, 2]]}'),
        posted("an empty object", "{}"),
        posted("an empty body", ""),
        posted("malformed JSON", '{"data": [[1, 2'),
        posted("JSON with more after it", '{"data": [[1, 2]]} x'),
        posted("a list for the object", "[[1, 2]]"),
        posted("a scalar for the object", "3"),
        posted("null for the object", "null"),
        posted("a body that is not UTF-8", b'{"data": "\xff"}'),
        posted("a body in UTF-16", '{"data": [[1, 2]]}'.encode("utf-16")),
        posted("a byte order mark", b'\xef\xbb\xbf{"data": [[1, 2]]}'),
        posted("NaN", '{"data": [[NaN, 1]]}'),
        posted("infinity", '{"data": [[Infinity, 1]]}'),
        posted("a number too large", '{"data": [[1e999, 1]]}'),
        posted("an integer too large", '{"data": [[' + "9" * 400 + ", 1]]}"),
        posted("an integer of 5000 digits", '{"data": [[' + "9" * 5000 + ", 1]]}"),
        posted("a key twice", '{"data": [[1, 2]], "data": [[3, 4]]}'),
        posted("three hundred brackets", '{"data": ' + "[" * 300 + "]" * 300 + "}"),
        posted("a thousand brackets", '{"data": ' + "[" * 1000 + "]" * 1000 + "}"),
        posted("a hundred thousand brackets", '{"data": ' + "[" * 100_000),
        posted("a lone surrogate", '{"data": "\\ud800"}'),
        Case("no content type", body=b'{"data": [[1, 2]]}'),
        Case("text/plain", body=b'{"data": [[1, 2]]}', headers={"Content-Type": "text/plain"}),
        *(
            Case(name, body=b'{"data": [[1, 2]]}', headers={"Content-Type": sent})
            for name, sent in (
                ("JSON with a charset", "application/json; charset=utf-8"),
                ("a +json type", "application/vnd.x+json"),
                ("a type in capitals", "Application/JSON"),
            )
        ),
        got("GET with the array", "/score?data=[[1,2]]"),
        got("GET with NaN", "/score?data=[[NaN,1]]"),
        got("GET with a thousand brackets", "/score?data=" + "[" * 1000 + "]" * 1000),
        got("GET without", "/score"),
        Case("OPTIONS", "OPTIONS"),
        Case("PUT", "PUT"),
        *SWAGGERS,
    ),
    variables=_NAMED,
)  # fmt: skip

PANDAS = Group(
    "pandas",
    _HEAD
    + """
@input_schema("data", PandasParameterType(pd.DataFrame({"a": [1], "b": [2.5], "c": ["x"]})))
@output_schema(StandardPythonParameterType({"n": 1}))
def run(data):
    return [type(data).__name__, list(data.columns), [str(t) for t in data.dtypes], data.values.tolist()]
""",
    (
        posted("two rows", '{"data": [{"a": 1, "b": 2.5, "c": "x"}, {"a": 2, "b": 3, "c": "y"}]}'),
        posted("columns in another order", '{"data": [{"c": "x", "b": 1.5, "a": 1}]}'),
        posted("a column too many", '{"data": [{"a": 1, "b": 2.5, "c": "x", "d": 4}]}'),
        posted("a column missing", '{"data": [{"a": 1, "b": 2.5}]}'),
        posted("text in a number's column", '{"data": [{"a": "q", "b": 2.5, "c": "x"}]}'),
        posted("a number in a text column", '{"data": [{"a": 1, "b": 2.5, "c": 7}]}'),
        posted("a null in a number's column", '{"data": [{"a": null, "b": 2.5, "c": "x"}]}'),
        posted("no rows", '{"data": []}'),
        posted("a list of scalars", '{"data": [1, 2]}'),
        posted("a scalar", '{"data": 1}'),
        posted("the split form", '{"data": {"columns": ["a", "b", "c"], "data": [[1, 2.5, "x"]]}}'),
        *SWAGGERS,
    ),
    variables=_NAMED,
)

SPLIT = Group(
    "pandas split",
    _HEAD
    + """
sample = pd.DataFrame([[1, 2.5]], columns=["a", "b"])

@input_schema("data", PandasParameterType(sample, orient="split"))
@output_schema(PandasParameterType(sample, orient="split"))
def run(data):
    return data.to_dict(orient="split")
""",
    (
        posted("the split form", '{"data": {"columns": ["a", "b"], "index": [0], "data": [[1, 2.5]]}}'),
        posted("records for the split form", '{"data": [{"a": 1, "b": 2.5}]}'),
        *SWAGGERS,
    ),
    variables=_NAMED,
)

STANDARD = Group(
    "standard types",
    _HEAD
    + """
@input_schema("text", StandardPythonParameterType("a"))
@input_schema("count", StandardPythonParameterType(1))
@input_schema("share", StandardPythonParameterType(0.5), optional=True)
@input_schema("flag", StandardPythonParameterType(True))
@input_schema("items", StandardPythonParameterType(["a", "b"]))
@input_schema("tree", StandardPythonParameterType({"name": "x", "sizes": [1, 2]}))
@output_schema(StandardPythonParameterType({"seen": ["a"]}))
def run(text, count, flag, items, tree, share=0.25):
    return {"seen": [type(v).__name__ for v in (text, count, share, flag, items, tree)], "share": share}
""",
    (
        posted(
            "all",
            '{"text": "t", "count": 2, "share": 1.5, "flag": false,'
            ' "items": ["q"], "tree": {"name": "n", "sizes": [3]}}',
        ),
        posted("without the optional one", '{"text": "t", "count": 2, "flag": false, "items": [], "tree": {}}'),
        posted(
            "an integer for a float",
            '{"text": "t", "count": 2, "share": 1, "flag": true,'
            ' "items": [], "tree": {}}',
        ),
        posted("a float for an integer", '{"text": "t", "count": 2.5, "flag": true, "items": [], "tree": {}}'),
        posted("a number for text", '{"text": 1, "count": 2, "flag": true, "items": [], "tree": {}}'),
        posted("text for a flag", '{"text": "t", "count": 2, "flag": "yes", "items": [], "tree": {}}'),
        posted("an object for a list", '{"text": "t", "count": 2, "flag": true, "items": {}, "tree": {}}'),
        posted("a list for an object", '{"text": "t", "count": 2, "flag": true, "items": [], "tree": []}'),
        posted("null for text", '{"text": null, "count": 2, "flag": true, "items": [], "tree": {}}'),
        posted(
            "null for the optional one",
            '{"text": "t", "count": 2, "share": null, "flag": true,'
            ' "items": [], "tree": {}}',
        ),
        posted("one of several missing", '{"text": "t", "count": 2, "items": [], "tree": {}}'),
        got("all by GET", "/score?text=t&count=2&flag=true&items=[]&tree={}"),
        *SWAGGERS,
    ),
    variables=_NAMED,
)  # fmt: skip

NESTED = Group(
    "nested types",
    _HEAD
    + """
inner = StandardPythonParameterType({
    "numbers": NumpyParameterType(np.array([[1, 2]])),
    "table": PandasParameterType(pd.DataFrame({"a": [1]})),
    "plain": StandardPythonParameterType("x"),
})

@input_schema("data", inner)
@output_schema(StandardPythonParameterType({"kinds": StandardPythonParameterType(["x"])}))
def run(data):
    return {"kinds": [type(data[name]).__name__ for name in ("numbers", "table", "plain")]}
""",
    (
        posted("well formed", '{"data": {"numbers": [[1, 2]], "table": [{"a": 3}], "plain": "t"}}'),
        posted(
            "a wrong width inside", '{"data": {"numbers": [[1, 2, 3]], "table": [{"a": 3}], "plain": "t"}}'
        ),
        posted("a wrong type inside", '{"data": {"numbers": [[1, 2]], "table": [{"a": 3}], "plain": 5}}'),
        posted("a key missing inside", '{"data": {"numbers": [[1, 2]], "plain": "t"}}'),
        posted("a list for the whole", '{"data": []}'),
        *SWAGGERS,
    ),
    variables=_NAMED,
)

POWER_BI = Group(
    "power bi",
    _HEAD
    + """
sample_inputs = StandardPythonParameterType({"data": PandasParameterType(pd.DataFrame({"a": [1], "b": ["x"]}))})

@input_schema("Inputs", sample_inputs)
@input_schema("GlobalParameters", StandardPythonParameterType({"scale": 1.0}))
@output_schema(StandardPythonParameterType({"Results": StandardPythonParameterType([0.5])}))
def run(Inputs, GlobalParameters):
    frame = Inputs["data"]
    return {"Results": (frame["a"] * GlobalParameters["scale"]).tolist()}
""",
    (
        posted(
            "as Power BI sends it",
            '{"Inputs": {"data": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]},'
            ' "GlobalParameters": {"scale": 2.0}}',
        ),
        posted("without parameters", '{"Inputs": {"data": [{"a": 1, "b": "x"}]}}'),
        *SWAGGERS,
    ),
    variables=_NAMED,
)  # fmt: skip

LOOSE = Group(
    "loose types",
    _HEAD
    + """
@input_schema("raw", NumpyParameterType(np.array([[1, 2]]), enforce_shape=False, enforce_column_type=False))
@input_schema("kept", NumpyParameterType(np.array([[1, 2]])), convert_to_provided_type=False)
@input_schema("mixed", StandardPythonParameterType([1, "a", None, 2.5]), optional=True)
def run(raw, kept, mixed=None, request_headers=None):
    return [list(raw.shape), str(raw.dtype), type(kept).__name__, mixed, request_headers is None]
""",
    (
        posted("shapes as they come", '{"raw": [[1.5, 2, 3]], "kept": [[1, 2]], "mixed": [1, "b"]}'),
        posted("kept as sent", '{"raw": [[1, 2]], "kept": "anything"}'),
        *SWAGGERS,
        got("swagger 3.0", "/swagger.json?version=3.0"),
        got("swagger 2.0", "/swagger.json?version=2.0"),
        got("swagger 9", "/swagger.json?version=9"),
    ),
    variables=_NAMED,
)

RAISING = Group(
    "a decorated run that raises",
    _HEAD
    + """
@input_schema("data", NumpyParameterType(np.array([1])))
def run(data):
    if data[0] == 1:
        raise ValueError("of the script")
    if data[0] == 2:
        raise TypeError("of the script")
    return data
""",
    (
        posted("a ValueError of the script", '{"data": [1]}'),
        posted("a TypeError of the script", '{"data": [2]}'),
        posted("an array for a result", '{"data": [3]}'),
    ),
)

GROUPS = (NUMPY, PANDAS, SPLIT, STANDARD, NESTED, POWER_BI, LOOSE, RAISING)
