"""Valid requests of every protocol: what the damage starts from."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
from modelyard_runtime.oip import open_inference_pb2 as oip
from modelyard_runtime.tfserving import predict_pb2 as tf

MODEL = "digits"
OIP = "/inference.GRPCInferenceService"
HEALTH = "/grpc.health.v1.Health"
REFLECTION = ("/grpc.reflection.v1.ServerReflection", "/grpc.reflection.v1alpha.ServerReflection")
PREDICTION = "/tensorflow.serving.PredictionService"
_NAMED = b"\n\x06digits"
"""A first field of text: the name in most small requests."""


@cache
def unary() -> dict[str, tuple[bytes, ...]]:
    """Return seeds by method, for calls with one request."""
    named = (_NAMED, _NAMED + b"\x12\x013", b"")
    predict = predictions()
    return {
        f"{OIP}/ServerLive": (b"", _NAMED),
        f"{OIP}/ServerReady": (b"", _NAMED),
        f"{OIP}/ServerMetadata": (b"", _NAMED),
        f"{OIP}/ModelReady": named,
        f"{OIP}/ModelMetadata": named,
        f"{OIP}/ModelInfer": infers(),
        f"{OIP}/RepositoryIndex": (b"", _NAMED, b"\x10\x01"),
        f"{OIP}/RepositoryModelLoad": (b"\x12\x06digits",),
        f"{OIP}/RepositoryModelUnload": (b"\x12\x06digits",),
        f"{HEALTH}/Check": (b"", _NAMED),
        f"{PREDICTION}/Predict": predict,
        f"{PREDICTION}/GetModelMetadata": (predict[0][:16] + b"\x12\x0dsignature_def",),
        f"{OIP}/NoSuchMethod": (b"", _NAMED),
        "/no.such.Service/Call": (b"",),
    }


@cache
def streams() -> dict[str, tuple[bytes, ...]]:
    """Return seeds by method, for calls with many requests."""
    reflection = (b"\x3a\x00", b"\x22\x20inference.GRPCInferenceService", b"\x1a\x01x")
    return {
        f"{OIP}/ModelStreamInfer": infers(),
        **{f"{service}/ServerReflectionInfo": reflection for service in REFLECTION},
    }


@cache
def infers() -> tuple[bytes, ...]:
    """Return ModelInfer requests: raw and typed contents, several tensors, text, parameters."""
    raw = oip.ModelInferRequest(model_name=MODEL, id="7")
    raw.parameters["priority"].int64_param = 3
    raw.inputs.add(name="x", datatype="FP32", shape=[2, 3])
    raw.raw_input_contents.append(np.arange(6, dtype=np.float32).tobytes())
    several = oip.ModelInferRequest(model_name=MODEL, model_version="3")
    for datatype, size in (("INT64", 8), ("BOOL", 1), ("FP16", 2), ("BF16", 2), ("UINT8", 1)):
        several.inputs.add(name=datatype, datatype=datatype, shape=[4])
        several.raw_input_contents.append(bytes(4 * size))
    several.inputs.add(name="text", datatype="BYTES", shape=[2])
    several.raw_input_contents.append(b"\x01\x00\x00\x00a\x02\x00\x00\x00bc")
    several.outputs.add(name="count")
    return tuple(message.SerializeToString() for message in (raw, several, *_typed()))


def _typed() -> list[oip.ModelInferRequest]:
    made = []
    for datatype, field, values in (
        ("BOOL", "bool_contents", [True, False]),
        ("INT8", "int_contents", [-128, 127]),
        ("INT64", "int64_contents", [-(2**63), 2**63 - 1]),
        ("UINT16", "uint_contents", [0, 65535]),
        ("UINT64", "uint64_contents", [0, 2**64 - 1]),
        ("FP32", "fp32_contents", [0.5, float("nan")]),
        ("FP64", "fp64_contents", [0.5, float("inf")]),
        ("BYTES", "bytes_contents", [b"a", b"\xff"]),
    ):
        message = oip.ModelInferRequest(model_name=MODEL)
        tensor = message.inputs.add(name="x", datatype=datatype, shape=[2])
        getattr(tensor.contents, field).extend(values)
        made.append(message)
    return made


@cache
def predictions() -> tuple[bytes, ...]:
    """Return Predict requests: tensor_content, typed values, text, half floats."""
    made = []
    for dtype, fields, shape in (
        (1, {"tensor_content": np.arange(6, dtype=np.float32).tobytes()}, (2, 3)),
        (1, {"float_val": [1.0]}, (4,)),
        (9, {"int64_val": [1, 2]}, (2,)),
        (7, {"string_val": [b"a", b"bc"]}, (2,)),
        (19, {"half_val": [0x3C00]}, (1,)),
        (10, {"bool_val": [True]}, ()),
    ):
        message = tf.PredictRequest(model_spec=tf.ModelSpec(name=MODEL))
        tensor = message.inputs["x"]
        tensor.dtype = dtype
        for size in shape:
            tensor.tensor_shape.dim.add(size=size)
        for name, value in fields.items():
            if isinstance(value, bytes):
                setattr(tensor, name, value)
            else:
                getattr(tensor, name).extend(value)
        made.append(message.SerializeToString())
    return tuple(made)


def rest_infers() -> tuple[str, ...]:
    """Return v2 requests as JSON: flat and nested data, text, parameters."""
    documents = (
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6.5]}]},
        {"inputs": [{"name": "x", "datatype": "INT8", "shape": [2, 1], "data": [[1], [-2]]}], "id": "7"},
        {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [2], "data": ["a", "\u2603"]}]},
        {
            "inputs": [{"name": "x", "datatype": "BOOL", "shape": [1], "data": [True]}],
            "outputs": [{"name": "count"}],
        },
        {
            "inputs": [
                {"name": "x", "datatype": "FP16", "shape": [1], "data": [0.5], "parameters": {"k": 1}}
            ],
            "outputs": [{"name": "x", "parameters": {"binary_data": True}}],
            "parameters": {"binary_data_output": True},
        },
    )
    return tuple(json.dumps(document) for document in documents)


def binary_infer() -> tuple[bytes, int]:
    """Return a v2 request with binary tensors, and the length of its JSON part."""
    sizes = {"FP32": 24, "BYTES": 11}
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "x",
                    "datatype": "FP32",
                    "shape": [2, 3],
                    "parameters": {"binary_data_size": sizes["FP32"]},
                },
                {
                    "name": "t",
                    "datatype": "BYTES",
                    "shape": [2],
                    "parameters": {"binary_data_size": sizes["BYTES"]},
                },
            ]
        }
    ).encode()
    return head + bytes(24) + b"\x01\x00\x00\x00a\x02\x00\x00\x00bc", len(head)


SCHEMA_BODIES = (
    '{"data": [[1.0, 2.0], [3, 4]], "table": [{"a": 1, "b": "x"}], "tree": {"n": 1, "l": [1, 2]}}',
    '{"data": [], "table": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], "tree": {"n": 1, "l": []}}',
    '{"tree": {"n": 5, "l": [7]}, "data": [[1e10, -2]], "table": [{"b": "\\u2603", "a": -1}]}',
)
TEXT_BODIES = ('{"data": [1, 2, 3]}', "[]", '"text"', "1")
REPOSITORY_BODIES = (
    '{"ready": true}',
    '{"repository_name": "", "ready": false}',
    '{"parameters": {"unload_dependents": true}}',
    "{}",
)
