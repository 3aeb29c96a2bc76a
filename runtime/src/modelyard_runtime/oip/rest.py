"""The protocol as JSON, with the binary extension: tensors as raw bytes after the JSON.

Pure: bytes in, values out, and back.
"""

from __future__ import annotations

from typing import Any

import orjson

from modelyard_runtime.oip.tensors import (
    InferRequest,
    OipError,
    Tensor,
    from_raw,
    from_values,
    to_list,
    to_raw,
)

HEADER_LENGTH = b"inference-header-content-length"
"""How many bytes of the body are JSON, where raw tensors follow."""


def decode(body: bytes, header_length: bytes | None) -> InferRequest:
    """Read an infer request. Raises `OipError`."""
    text, raw = _split(body, header_length)
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise OipError(f"the request is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list):
        raise OipError("the request must be an object with a list 'inputs'")
    inputs = []
    for item in document["inputs"]:
        tensor, raw = _input(item, raw)
        inputs.append(tensor)
    if raw:
        raise OipError(f"{len(raw)} bytes are left after the last tensor")
    outputs = _objects(document.get("outputs") or [], "outputs")
    return InferRequest(
        id=str(document.get("id") or ""),
        inputs=tuple(inputs),
        outputs=tuple(_name(item, "outputs") for item in outputs),
        binary_outputs=_binary(document, outputs),
    )


def encode(
    model: str, version: str, request: InferRequest, outputs: tuple[Tensor, ...]
) -> tuple[bytes, int | None]:
    """Write the answer; the number is the JSON's length where raw tensors follow it."""
    described, tail = [], []
    for tensor in outputs:
        entry: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.array.shape),
        }
        if request.binary_outputs is None or tensor.name in request.binary_outputs:
            raw = to_raw(tensor)
            entry["parameters"] = {"binary_data_size": len(raw)}
            tail.append(raw)
        else:
            entry["data"] = to_list(tensor)
        described.append(entry)
    document = {"model_name": model, "model_version": version, "outputs": described}
    if request.id:
        document["id"] = request.id
    text = orjson.dumps(document)
    return (b"".join([text, *tail]), len(text)) if tail else (text, None)


def _split(body: bytes, header_length: bytes | None) -> tuple[bytes, bytes]:
    if header_length is None:
        return body, b""
    if not header_length.isdigit() or int(header_length) > len(body):
        raise OipError("Inference-Header-Content-Length must be a number within the body's length")
    length = int(header_length)
    return body[:length], body[length:]


def _input(item: Any, raw: bytes) -> tuple[Tensor, bytes]:
    name = _name(item, "inputs")
    shape, datatype = item.get("shape"), item.get("datatype")
    if not isinstance(shape, list) or not isinstance(datatype, str):
        raise OipError(f"input '{name}' needs a list 'shape' and a text 'datatype'")
    size = _parameters(item).get("binary_data_size")
    if size is None:
        if "data" not in item:
            raise OipError(f"input '{name}' has neither 'data' nor parameters.binary_data_size")
        return from_values(name, datatype, shape, item["data"]), raw
    if type(size) is not int or not 0 <= size <= len(raw):
        raise OipError(f"input '{name}': binary_data_size {size!r} is more than the body holds")
    return from_raw(name, datatype, shape, raw[:size]), raw[size:]


def _objects(items: Any, place: str) -> list[dict[str, Any]]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise OipError(f"'{place}' must be a list of objects")
    return items


def _name(item: Any, place: str) -> str:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise OipError(f"every one of '{place}' must be an object with a text 'name'")
    return str(item["name"])


def _parameters(item: dict[str, Any]) -> dict[str, Any]:
    found = item.get("parameters")
    return found if isinstance(found, dict) else {}


def _binary(document: dict[str, Any], outputs: list[dict[str, Any]]) -> frozenset[str] | None:
    everything = bool(_parameters(document).get("binary_data_output", False))
    if not outputs:
        return None if everything else frozenset()
    return frozenset(
        item["name"] for item in outputs if _parameters(item).get("binary_data", everything) is True
    )
