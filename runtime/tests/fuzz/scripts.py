"""Scripts that accept whatever they are given, so that every failure is the server's own."""

TENSORS = """
import numpy as np

def init():
    pass

def infer(inputs):
    return {**inputs, "count": np.array([len(inputs)])}
"""

TEXT = """
import json

def init():
    pass

def run(data):
    try:
        return [len(data), len(type(json.loads(data)).__name__)]
    except (ValueError, RecursionError):
        return [len(data)]
"""

SCHEMA = """
import numpy as np
import pandas as pd
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1.0, 2.0]])))
@input_schema("table", PandasParameterType(pd.DataFrame({"a": [1], "b": ["x"]})))
@input_schema("tree", StandardPythonParameterType({"n": 1, "l": [1]}))
def run(data, table, tree):
    return [list(data.shape), len(table), sorted(map(str, tree))]
"""
