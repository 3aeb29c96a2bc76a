"""TensorProto: `tensor_content` or one of the typed lists in, typed lists out, as TensorFlow Serving does. Pure."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from modelyard_runtime.oip.datatypes import BYTES, OipError, count, find
from modelyard_runtime.oip.tensors import from_items, from_raw, to_values
from modelyard_runtime.oip.wire import varint
from modelyard_runtime.tfserving import tensor_pb2 as pb
from modelyard_runtime.worker.nested import elements
from modelyard_runtime.worker.requests import Buffer, Tensor


class _Kind(NamedTuple):
    """A DataType's name in the Open Inference Protocol, and the list its values travel in."""

    datatype: str
    field: str


_HALVES = "half_val"
KINDS: dict[pb.DataType, _Kind] = {
    pb.DT_FLOAT: _Kind("FP32", "float_val"),
    pb.DT_DOUBLE: _Kind("FP64", "double_val"),
    pb.DT_INT32: _Kind("INT32", "int_val"),
    pb.DT_UINT8: _Kind("UINT8", "int_val"),
    pb.DT_INT16: _Kind("INT16", "int_val"),
    pb.DT_INT8: _Kind("INT8", "int_val"),
    pb.DT_STRING: _Kind(BYTES, "string_val"),
    pb.DT_INT64: _Kind("INT64", "int64_val"),
    pb.DT_BOOL: _Kind("BOOL", "bool_val"),
    pb.DT_BFLOAT16: _Kind("BF16", _HALVES),
    pb.DT_UINT16: _Kind("UINT16", "int_val"),
    pb.DT_HALF: _Kind("FP16", _HALVES),
    pb.DT_UINT32: _Kind("UINT32", "uint32_val"),
    pb.DT_UINT64: _Kind("UINT64", "uint64_val"),
}
DATA_TYPES = {kind.datatype: data_type for data_type, kind in KINDS.items()}
_PACKED_AS_THEY_ARE = {"FP32": b"\x2a", "FP64": b"\x32"}
"""Tags of the lists whose wire form is the tensor's own bytes."""


def decode(name: str, proto: pb.TensorProto, *, limit_bytes: int) -> Tensor:
    """Read a tensor; a list shorter than the shape is filled up to `limit_bytes`. Raises `OipError`."""
    place = f"inputs['{name}']"
    kind = KINDS.get(proto.dtype)
    if kind is None:
        raise OipError(f"input '{name}': data type {proto.dtype} is not served", place=f"{place}.dtype")
    if proto.tensor_shape.unknown_rank:
        raise OipError(f"input '{name}': its shape must be known", place=f"{place}.tensor_shape")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    elements = count(shape, place=place)
    _check_lists(name, proto, kind, place)
    if proto.tensor_content:
        if kind.datatype == BYTES:
            raise OipError(f"input '{name}': text travels in string_val", place=f"{place}.tensor_content")
        return from_raw(name, kind.datatype, shape, proto.tensor_content, place=place)
    items = getattr(proto, kind.field)
    if len(items) < elements:
        if (
            elements * (find(kind.datatype, place=place).size or 4 + len(items[-1] if items else b""))
            > limit_bytes
        ):
            raise OipError(
                f"input '{name}': shape {list(shape)} passes the limit of {limit_bytes} bytes", place=place
            )
        items = _filled(items, elements, kind)
    if kind.field == _HALVES:
        return _of_halves(name, kind.datatype, shape, items, place)
    return from_items(name, kind.datatype, shape, items, place=place)


def encode(tensor: Tensor) -> pb.TensorProto:
    """Write a tensor with its values in the list of its type. Raises `OipError`."""
    data_type = DATA_TYPES[tensor.datatype]
    proto = pb.TensorProto(dtype=data_type)
    for size in tensor.shape:
        proto.tensor_shape.dim.add(size=size)
    tag = _PACKED_AS_THEY_ARE.get(tensor.datatype)
    if tag is not None:
        proto.MergeFromString(b"".join((tag, varint(len(tensor.data)), tensor.data)))
    else:
        getattr(proto, KINDS[data_type].field).extend(_items(tensor))
    return proto


def _items(tensor: Tensor) -> Sequence[Any]:
    if tensor.datatype == BYTES:
        return list(elements(tensor.data))
    if KINDS[DATA_TYPES[tensor.datatype]].field == _HALVES:
        return struct.unpack(f"<{len(tensor.data) // 2}H", tensor.data)
    return to_values(tensor)


def _filled(items: Sequence[Any], elements: int, kind: _Kind) -> Sequence[Any]:
    """TensorFlow repeats the last value, and without any takes the type's zero."""
    last = items[-1] if items else b"" if kind.datatype == BYTES else 0
    return [*items, *([last] * (elements - len(items)))]


def _of_halves(name: str, datatype: str, shape: tuple[int, ...], items: Sequence[int], place: str) -> Tensor:
    try:
        data: Buffer = struct.pack(f"<{len(items)}H", *items)
    except struct.error as error:
        raise OipError(f"input '{name}': half_val holds 16 bits each", place=f"{place}.half_val") from error
    return from_raw(name, datatype, shape, data, place=place)


def _check_lists(name: str, proto: pb.TensorProto, kind: _Kind, place: str) -> None:
    for field, _ in proto.ListFields():
        if field.name.endswith("_val") and (field.name != kind.field or proto.tensor_content):
            raise OipError(
                f"input '{name}': {field.name} does not go with its data type, or with tensor_content",
                place=f"{place}.{field.name}",
            )
