"""The Open Inference Protocol's ModelInfer as bytes: the only module that knows its message classes."""

from __future__ import annotations

from collections.abc import Mapping

from modelyard.api import SystemError_
from modelyard.client.tensors import Tensor, TensorLike


def encode(model: str, inputs: Mapping[str, TensorLike]) -> bytes:
    """Write a request whose tensors travel as raw bytes."""
    from modelyard_runtime.oip import open_inference_pb2 as oip

    request = oip.ModelInferRequest(model_name=model)
    for name, value in inputs.items():
        tensor = Tensor.of(value)
        request.inputs.add(name=name, datatype=tensor.datatype, shape=tensor.shape)
        request.raw_input_contents.append(tensor.content)
    content: bytes = request.SerializeToString()
    return content


def decode(reply: bytes) -> tuple[str, dict[str, Tensor]]:
    """Read an answer: the model's name and the output tensors by name."""
    from modelyard_runtime.oip import open_inference_pb2 as oip

    answer = oip.ModelInferResponse.FromString(reply)
    if len(answer.raw_output_contents) != len(answer.outputs):
        raise SystemError_(
            "the answer's tensors do not carry raw bytes",
            place=f"model {answer.model_name}",
            remedy="serve the model with modelyard-runtime, which always sends them",
        )
    outputs = {
        output.name: Tensor(output.datatype, tuple(output.shape), raw)
        for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }
    return answer.model_name, outputs
