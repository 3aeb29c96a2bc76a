"""The protocol as protobuf messages, raw or typed contents in, raw contents out.

Pure: messages in, values out, and back.
"""

from __future__ import annotations

from modelyard_runtime.oip import open_inference_pb2 as pb
from modelyard_runtime.oip.tensors import (
    BYTES,
    InferRequest,
    OipError,
    Tensor,
    check_shape,
    from_raw,
    from_values,
    to_raw,
)

_FIELDS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""Where a datatype's elements travel; FP16 has no field of its own: raw contents only."""


def decode(message: pb.ModelInferRequest) -> InferRequest:
    """Read an infer request. Raises `OipError`."""
    raws, tensors = message.raw_input_contents, message.inputs
    if raws and len(raws) != len(tensors):
        raise OipError(f"{len(tensors)} inputs, {len(raws)} raw_input_contents: there must be as many")
    if raws:
        inputs = [_raw(tensor, raw) for tensor, raw in zip(tensors, raws, strict=True)]
    else:
        inputs = [_typed(tensor) for tensor in tensors]
    return InferRequest(
        id=message.id, inputs=tuple(inputs), outputs=tuple(output.name for output in message.outputs)
    )


def encode(
    model: str, version: str, request: InferRequest, outputs: tuple[Tensor, ...]
) -> pb.ModelInferResponse:
    """Write the answer."""
    return pb.ModelInferResponse(
        model_name=model,
        model_version=version,
        id=request.id,
        outputs=[
            pb.ModelInferResponse.InferOutputTensor(
                name=tensor.name, datatype=tensor.datatype, shape=tensor.array.shape
            )
            for tensor in outputs
        ],
        raw_output_contents=[to_raw(tensor) for tensor in outputs],
    )


def _raw(tensor: pb.ModelInferRequest.InferInputTensor, raw: bytes) -> Tensor:
    if tensor.HasField("contents"):
        raise OipError(f"input '{tensor.name}' has both contents and raw_input_contents")
    return from_raw(tensor.name, tensor.datatype, tuple(tensor.shape), raw)


def _typed(tensor: pb.ModelInferRequest.InferInputTensor) -> Tensor:
    shape = tuple(tensor.shape)
    check_shape(tensor.name, tensor.datatype, shape)
    field = _FIELDS.get(tensor.datatype)
    if field is None:
        raise OipError(f"input '{tensor.name}': {tensor.datatype} travels in raw_input_contents only")
    return from_values(tensor.name, tensor.datatype, shape, list(getattr(tensor.contents, field)))
