"""The protocol as JSON, with the binary tensor extension: raw tensors behind the JSON. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from modelyard_runtime.oip.datatypes import UNSERVED, OipError
from modelyard_runtime.oip.tensors import from_raw, from_values, to_values
from modelyard_runtime.worker.requests import Tensor

HEADER_LENGTH = b"inference-header-content-length"
"""How many bytes of the body are JSON, where raw tensors follow."""
_EVERYTHING, _NOTHING = None, frozenset[str]()
_PARTICULAR = frozenset({"outputs", "parameters"})
"""Without these a request asks for all outputs, as JSON: most are so."""
_OBJECTS, _WHOLE = frozenset({dict}), frozenset({int})


class RestRequest(NamedTuple):
    """What a body asks for. `outputs` empty = all; `binary` names those to send raw, None = all."""

    id: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    binary: frozenset[str] | None


def decode(body: bytes, header_length: bytes | None) -> RestRequest:
    """Read an infer request. Raises `OipError`."""
    text, raw = _split(body, header_length)
    document = _parse(text)
    inputs = []
    for number, item in enumerate(_objects(document.get("inputs"), "inputs")):
        tensor, raw = _input(item, raw, f"inputs[{number}]")
        inputs.append(tensor)
    if not inputs:
        raise OipError("the request has no inputs", place="inputs")
    if raw:
        raise OipError(f"{len(raw)} bytes are left after the last tensor", place="inputs")
    if len(inputs) > 1:
        check_unique([tensor.name for tensor in inputs], "inputs")
    identifier = document.get("id", "")
    if type(identifier) is not str:
        raise OipError("'id' must be text", place="id")
    if _PARTICULAR.isdisjoint(document):
        return RestRequest(identifier, tuple(inputs), (), _NOTHING)
    asked = _objects(document.get("outputs", []), "outputs")
    outputs = tuple(_text(item, "name", f"outputs[{number}]") for number, item in enumerate(asked))
    check_unique(outputs, "outputs")
    return RestRequest(identifier, tuple(inputs), outputs, _binary(document, asked))


def encode(
    model: str, version: str, request: RestRequest, outputs: tuple[Tensor, ...]
) -> tuple[bytes, int | None]:
    """Write the answer; the number is the JSON's length where raw tensors follow it. Raises `OipError`."""
    described: list[dict[str, Any]] = []
    tail: list[Any] = []
    for tensor in outputs:
        entry: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        if request.binary is _EVERYTHING or tensor.name in request.binary:
            entry["parameters"] = {"binary_data_size": len(tensor.data)}
            tail.append(tensor.data)
        else:
            entry["data"] = to_values(tensor)
        described.append(entry)
    document: dict[str, Any] = {"model_name": model, "model_version": version}
    if request.id:
        document["id"] = request.id
    document["outputs"] = described
    text = orjson.dumps(document)
    return (b"".join([text, *tail]), len(text)) if request.binary != _NOTHING else (text, None)


def check_unique(names: list[str] | tuple[str, ...], place: str) -> None:
    """Refuse a name that comes twice. Raises `OipError`."""
    if len(names) > 1 and len(set(names)) < len(names):
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        raise OipError(f"two of '{place}' are called '{twice}'", place=place)


def _parse(text: memoryview | bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise OipError(f"the request is not JSON: {error}") from error
    if type(document) is not dict:
        raise OipError("the request must be an object with a list 'inputs'")
    return document


def _split(body: bytes, header_length: bytes | None) -> tuple[memoryview | bytes, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    if not header_length.isdigit() or len(header_length) > len(str(len(body))) + 1:
        raise OipError("Inference-Header-Content-Length must be a number within the body's length")
    length = int(header_length)
    if length > len(body):
        raise OipError(f"Inference-Header-Content-Length is {length}, the body has {len(body)} bytes")
    view = memoryview(body)
    return view[:length], view[length:]


def _input(item: dict[str, Any], raw: memoryview, place: str) -> tuple[Tensor, memoryview]:
    name, datatype = _text(item, "name", place), _text(item, "datatype", place)
    shape = item.get("shape")
    if type(shape) is not list or not _WHOLE.issuperset(map(type, shape)):
        raise OipError(f"input '{name}' needs a list of whole numbers 'shape'", place=f"{place}.shape")
    size = _parameters(item, place).get("binary_data_size")
    if size is None:
        if "data" not in item:
            raise OipError(f"input '{name}' has neither 'data' nor parameters.binary_data_size", place=place)
        return from_values(name, datatype, tuple(shape), item["data"], place=place), raw
    if type(size) is not int or not 0 <= size <= len(raw):
        raise OipError(
            f"input '{name}': binary_data_size is {size!r}, {len(raw)} bytes are left in the body",
            place=f"{place}.parameters.binary_data_size",
        )
    if "data" in item:
        raise OipError(f"input '{name}' has both 'data' and parameters.binary_data_size", place=place)
    return from_raw(name, datatype, tuple(shape), raw[:size], place=place), raw[size:]


def _objects(items: Any, place: str) -> list[dict[str, Any]]:
    if type(items) is not list or not _OBJECTS.issuperset(map(type, items)):
        raise OipError(f"'{place}' must be a list of objects", place=place)
    return items


def _text(item: dict[str, Any], key: str, place: str) -> str:
    found = item.get(key)
    if type(found) is not str:
        raise OipError(
            f"every one of '{place.partition('[')[0]}' needs a text '{key}'", place=f"{place}.{key}"
        )
    return found


def _parameters(item: dict[str, Any], place: str) -> dict[str, Any]:
    found = item.get("parameters")
    if found is None:
        return {}
    if type(found) is not dict:
        raise OipError("'parameters' must be an object", place=f"{place}.parameters".lstrip("."))
    for name, reason in UNSERVED.items():
        if found.get(name):
            raise OipError(reason, place=f"{place}.parameters.{name}".lstrip("."))
    return found


def _binary(document: dict[str, Any], asked: list[dict[str, Any]]) -> frozenset[str] | None:
    everything = _flag(_parameters(document, ""), "binary_data_output", "parameters") is True
    if not asked:
        return _EVERYTHING if everything else _NOTHING
    chosen = set()
    for number, item in enumerate(asked):
        place = f"outputs[{number}]"
        own = _flag(_parameters(item, place), "binary_data", f"{place}.parameters")
        if own is True or (own is None and everything):
            chosen.add(item["name"])
    return frozenset(chosen)


def _flag(parameters: dict[str, Any], name: str, place: str) -> bool | None:
    found = parameters.get(name)
    if found is not None and type(found) is not bool:
        raise OipError(f"'{name}' must be true or false", place=f"{place}.{name}")
    return found
