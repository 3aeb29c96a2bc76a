"""PredictRequest and PredictResponse. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from modelyard_runtime.oip.datatypes import OipError
from modelyard_runtime.oip.rest import check_unique
from modelyard_runtime.tfserving import predict_pb2 as pb
from modelyard_runtime.tfserving import tensors
from modelyard_runtime.worker.requests import Tensor

SIGNATURE = "serving_default"
"""The one signature a script has."""
METHOD_NAME = "tensorflow/serving/predict"


class Asked(NamedTuple):
    """What a request asks for; `model` and `version` may be "", `outputs` empty = all."""

    model: str
    version: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]


def decode(message: pb.PredictRequest, *, limit_bytes: int) -> Asked:
    """Read a request. Raises `OipError`."""
    model, version = names(message.model_spec)
    if not message.inputs:
        raise OipError("the request has no inputs", place="inputs")
    inputs = tuple(
        tensors.decode(name, message.inputs[name], limit_bytes=limit_bytes) for name in sorted(message.inputs)
    )
    if sum(len(tensor.data) for tensor in inputs) > limit_bytes:
        raise OipError(f"the inputs pass the limit of {limit_bytes} bytes", place="inputs")
    check_unique(tuple(message.output_filter), "output_filter")
    return Asked(model, version, inputs, tuple(message.output_filter))


def encode(model: str, version: str, outputs: Sequence[Tensor]) -> pb.PredictResponse:
    """Write an answer."""
    answer = pb.PredictResponse(model_spec=specification(model, version, signature=SIGNATURE))
    for tensor in outputs:
        answer.outputs[tensor.name].CopyFrom(tensors.encode(tensor))
    return answer


def names(wanted: pb.ModelSpec) -> tuple[str, str]:
    """Return the model and the version that are asked for. Raises `OipError`."""
    if wanted.signature_name not in {"", SIGNATURE}:
        raise OipError(
            f"no signature is called '{wanted.signature_name}'; there is {SIGNATURE}",
            place="model_spec.signature_name",
        )
    if wanted.version_label:
        raise OipError(
            f"no version has the label '{wanted.version_label}': ask by number, or for none",
            place="model_spec.version_label",
        )
    return wanted.name, str(wanted.version.value) if wanted.HasField("version") else ""


def specification(model: str, version: str, *, signature: str = "") -> pb.ModelSpec:
    """Write which model answered; a version that is no number has no place in it."""
    spec = pb.ModelSpec(name=model, signature_name=signature)
    if version.isdecimal():
        spec.version.value = int(version)
    return spec


def signatures(inputs: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]]) -> pb.SignatureDefMap:
    """Write what a script says it takes and gives."""
    made = pb.SignatureDefMap()
    signature = made.signature_def[SIGNATURE]
    signature.method_name = METHOD_NAME
    for listed, described in ((signature.inputs, inputs), (signature.outputs, outputs)):
        for tensor in described:
            info = listed[tensor["name"]]
            info.name = tensor["name"]
            info.dtype = tensors.DATA_TYPES[tensor["datatype"]]
            for size in tensor["shape"]:
                info.tensor_shape.dim.add(size=size)
    return made
