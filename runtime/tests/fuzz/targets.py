"""What is fuzzed: every codec that reads bytes from outside, each with the one error it may raise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from google.protobuf.message import DecodeError
from modelyard_runtime.oip import messages, rest
from modelyard_runtime.oip import open_inference_pb2 as oip
from modelyard_runtime.oip.datatypes import OipError
from modelyard_runtime.server.grpc import compression
from modelyard_runtime.server.grpc.calls import timeout_s
from modelyard_runtime.server.problems import BadInput as BadCall
from modelyard_runtime.server.problems import TooLarge
from modelyard_runtime.tfserving import predict, predict_pb2
from modelyard_runtime.worker import frames, json_text, queries
from modelyard_runtime.worker import messages as between
from modelyard_runtime.worker.failures import BadInput, InputBroke
from modelyard_runtime.worker.raw_http import forms

from runtime.tests.fuzz.calls import grpc_call, grpc_stream

LIMIT_BYTES = 1 << 16
_BOUNDARY_BYTES = 64


def grpc_infer(data: bytes) -> None:
    """Read a ModelInferRequest; what it says can be answered with."""
    try:
        asked = messages.decode(data)
    except OipError:
        return
    answer = b"".join(messages.encode(asked.model, asked.version, asked.id, asked.inputs))
    assert len(oip.ModelInferResponse.FromString(answer).outputs) == len(asked.inputs)


def rest_infer(data: bytes) -> None:
    """Read a v2 body: the first byte, where it is not zero, says how much of the rest is JSON."""
    length = b"%d" % data[0] if data[:1].strip(b"\0") else None
    try:
        asked = rest.decode(data[1:], length)
        rest.encode("digits", "3", asked, asked.inputs)
    except OipError:
        return


def tfserving_predict(data: bytes) -> None:
    """Read a PredictRequest; what it says can be answered with."""
    try:
        asked = predict.decode(predict_pb2.PredictRequest.FromString(data), limit_bytes=LIMIT_BYTES)
    except (OipError, DecodeError):
        return
    assert len(predict.encode("digits", "3", asked.inputs).outputs) == len(asked.inputs)


def json_body(data: bytes) -> None:
    """Read JSON by the rules of scripts; lists and texts that were read can be written and read again."""
    try:
        document = json_text.parse(data)
    except BadInput:
        return
    if document is not None and isinstance(document, list | str):
        json_text.parse(json_text.write_thoroughly(document))


def query_string(data: bytes) -> None:
    """Read a query: nothing that HTTP lets through is refused, but by v1's rules what breaks Python."""
    queries.as_text(data)
    with contextlib.suppress(InputBroke):
        queries.as_text_as_v1(data)


def form_body(data: bytes) -> None:
    """Read a multipart body whose content type stands before a line feed."""
    kind, _, body = data.partition(b"\n")
    forms.multipart(body, kind[:_BOUNDARY_BYTES].decode("latin-1"))
    forms.query_of(body)


def worker_frames(data: bytes) -> None:
    """Read frames, and what they carry, as both ends of a worker's socket do."""
    try:
        whole, rest_of_it = frames.split(data)
    except frames.FrameError:
        return
    assert len(rest_of_it) <= len(data)
    for frame in whole:
        for read in (between.read_request, between.read_reply):
            try:
                read(frame, _from_the_socket)
            except frames.FrameError:
                continue


def grpc_compression(data: bytes) -> None:
    """Undo gzip within its bounds."""
    try:
        assert len(compression.decompress(data, limit=LIMIT_BYTES, ratio=100)) <= LIMIT_BYTES
    except (BadCall, TooLarge):
        return


def grpc_timeout(data: bytes) -> None:
    """Read a deadline."""
    try:
        assert timeout_s(data) >= 0
    except BadCall:
        return


def _from_the_socket(field: bytes | frames.Reference) -> bytes:
    if isinstance(field, frames.Reference):
        raise frames.FrameError("no memory is shared here")
    return field


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        grpc_infer,
        rest_infer,
        tfserving_predict,
        json_body,
        query_string,
        form_body,
        worker_frames,
        grpc_compression,
        grpc_timeout,
        grpc_call,
        grpc_stream,
    )
}
