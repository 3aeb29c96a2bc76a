"""The protocol as protobuf messages, raw or typed contents in, raw contents out. Pure.

What stands around the tensors is mostly the same from request to request, so its meaning is remembered
by its bytes; the tensors themselves are views of the message as it was received.
"""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.message import DecodeError

from modelyard_runtime.oip import open_inference_pb2 as pb
from modelyard_runtime.oip import wire
from modelyard_runtime.oip.datatypes import BYTES, UNSERVED, OipError, count, find
from modelyard_runtime.oip.rest import check_unique
from modelyard_runtime.oip.tensors import from_items, from_raw
from modelyard_runtime.worker.requests import Buffer, Tensor

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
"""Where a datatype's elements travel; FP16 and BF16 have no field: raw contents only."""
FINAL_RESPONSE = "triton_final_response"
"""Parameter of a stream's answers: whether another one follows for the same request."""
EMPTY_FINAL_RESPONSE = "triton_enable_empty_final_response"
"""Parameter of a stream's request: say even by an empty answer that none follows."""
_MOST_REMEMBERED = 512
_LONGEST_REMEMBERED = 2048


class GrpcRequest(NamedTuple):
    """What a message asks for; `outputs` empty = all."""

    model: str
    version: str
    id: bytes
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    empty_final: bool


class _Head(NamedTuple):
    """What a message says besides its id and its raw contents, checked; `sizes` of 0 are BYTES."""

    model: str
    version: str
    described: tuple[tuple[str, str, tuple[int, ...], int], ...]
    outputs: tuple[str, ...]
    empty_final: bool


_heads: dict[bytes, _Head] = {}


def decode(body: Buffer, start: int = 0) -> GrpcRequest:
    """Read a ModelInferRequest that begins at `start`. Raises `OipError`."""
    split = wire.split_request(body, start)
    if split is None or not split[2]:
        return _decode_whole(body, start)
    head_bytes, identifier, raws = split
    head = _heads.get(head_bytes)
    if head is None:
        head = _read_head(head_bytes)
        if head is None:
            return _decode_whole(body, start)
    if identifier and not identifier.isascii():
        _check_text(identifier)
    if len(raws) != len(head.described):
        raise _uneven(len(head.described), len(raws))
    inputs: list[Tensor] = []
    for (name, datatype, shape, size), raw in zip(head.described, raws, strict=True):
        if size != len(raw) or not size:  # the whole check, which says what is wrong, is for the unlike
            from_raw(name, datatype, shape, raw, place=f"inputs[{len(inputs)}]")
        inputs.append(Tensor(name, datatype, shape, raw))
    return GrpcRequest(head.model, head.version, identifier, tuple(inputs), head.outputs, head.empty_final)


def encode(model: str, version: str, identifier: bytes, outputs: tuple[Tensor, ...]) -> list[Buffer]:
    """Write a ModelInferResponse; the pieces, one after the other, are the message."""
    parts: list[Buffer] = [wire.model_fields(model, version), wire.id_field(identifier)]
    parts += [wire.output_field(name, datatype, shape) for name, datatype, shape, _ in outputs]
    for tensor in outputs:
        parts += (wire.raw_field(len(tensor.data)), tensor.data)
    return parts


def stream_response(
    model: str, version: str, identifier: bytes, outputs: tuple[Tensor, ...], *, final: bool
) -> pb.ModelStreamInferResponse:
    """Make one answer of a stream."""
    answer = pb.ModelStreamInferResponse()
    inferred = answer.infer_response
    inferred.MergeFromString(b"".join(encode(model, version, identifier, outputs)))
    inferred.parameters[FINAL_RESPONSE].bool_param = final
    return answer


def stream_error(message: str, identifier: bytes) -> pb.ModelStreamInferResponse:
    """Make the answer that says what went wrong with one request of a stream."""
    return pb.ModelStreamInferResponse(
        error_message=message,
        infer_response=pb.ModelInferResponse(id=identifier.decode("utf-8", "replace")),
    )


def _read_head(content: bytes) -> _Head | None:
    """Read and check a head without contents; None = it has contents, which only the whole message explains."""
    message = _parse(content)
    if any(tensor.HasField("contents") for tensor in message.inputs):
        return None
    described = []
    for number, tensor in enumerate(message.inputs):
        place, shape = f"inputs[{number}]", tuple(tensor.shape)
        size = find(tensor.datatype, place=place).size
        described.append((tensor.name, tensor.datatype, shape, count(shape, place=place) * size))
        _check_parameters(tensor, place)
    head = _Head(
        message.model_name,
        message.model_version,
        tuple(described),
        _outputs(message),
        _wants_final(message),
    )
    check_unique([tensor.name for tensor in message.inputs], "inputs")
    if len(content) <= _LONGEST_REMEMBERED:
        if len(_heads) >= _MOST_REMEMBERED:
            _heads.clear()
        _heads[content] = head
    return head


def _decode_whole(body: Buffer, start: int) -> GrpcRequest:
    message = _parse(memoryview(body)[start:])
    raws, tensors = message.raw_input_contents, message.inputs
    if not tensors:
        raise OipError("the request has no inputs", place="inputs")
    if raws and len(raws) != len(tensors):
        raise _uneven(len(tensors), len(raws))
    inputs = []
    for number, tensor in enumerate(tensors):
        place = f"inputs[{number}]"
        _check_parameters(tensor, place)
        inputs.append(_raw(tensor, raws[number], place) if raws else _typed(tensor, place))
    check_unique([tensor.name for tensor in inputs], "inputs")
    return GrpcRequest(
        message.model_name,
        message.model_version,
        message.id.encode(),
        tuple(inputs),
        _outputs(message),
        _wants_final(message),
    )


def _raw(tensor: pb.ModelInferRequest.InferInputTensor, raw: bytes, place: str) -> Tensor:
    if tensor.HasField("contents"):
        raise OipError(f"input '{tensor.name}' has both contents and raw_input_contents", place=place)
    return from_raw(tensor.name, tensor.datatype, tuple(tensor.shape), raw, place=place)


def _typed(tensor: pb.ModelInferRequest.InferInputTensor, place: str) -> Tensor:
    shape = tuple(tensor.shape)
    find(tensor.datatype, place=place)
    field = _FIELDS.get(tensor.datatype)
    if field is None:
        raise OipError(f"{tensor.datatype} travels in raw_input_contents only", place=f"{place}.contents")
    for other, _ in tensor.contents.ListFields():
        if other.name != field:
            raise OipError(
                f"input '{tensor.name}': {tensor.datatype} travels in {field}, not in {other.name}",
                place=f"{place}.contents.{other.name}",
            )
    return from_items(tensor.name, tensor.datatype, shape, getattr(tensor.contents, field), place=place)


def _parse(content: Buffer) -> pb.ModelInferRequest:
    try:
        return pb.ModelInferRequest.FromString(bytes(content))
    except DecodeError as error:
        raise OipError("the message is not a ModelInferRequest") from error


def _outputs(message: pb.ModelInferRequest) -> tuple[str, ...]:
    outputs = tuple(output.name for output in message.outputs)
    check_unique(outputs, "outputs")
    for number, output in enumerate(message.outputs):
        _check_parameters(output, f"outputs[{number}]")
    return outputs


def _wants_final(message: pb.ModelInferRequest) -> bool:
    return EMPTY_FINAL_RESPONSE in message.parameters and message.parameters[EMPTY_FINAL_RESPONSE].bool_param


def _check_parameters(
    described: pb.ModelInferRequest.InferInputTensor | pb.ModelInferRequest.InferRequestedOutputTensor,
    place: str,
) -> None:
    for name, reason in UNSERVED.items():
        if name in described.parameters:
            raise OipError(reason, place=f"{place}.parameters.{name}")


def _check_text(identifier: bytes) -> None:
    try:
        identifier.decode()
    except UnicodeDecodeError as error:
        raise OipError("the id is not UTF-8", place="id") from error


def _uneven(tensors: int, raws: int) -> OipError:
    return OipError(
        f"{tensors} inputs, {raws} raw_input_contents: there must be as many", place="raw_input_contents"
    )
