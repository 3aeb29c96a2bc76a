"""gRPC on ASGI: frames, statuses and their details, limits, deadlines, compression."""

from __future__ import annotations

import asyncio
import gzip
import sys
import zlib
from typing import Any

import pytest
from grpc_calls import INFER, OIP, call, details, frame, frames, request, status
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.oip import open_inference_pb2 as pb
from modelyard_runtime.scoring import processes
from modelyard_runtime.server.grpc import compression
from modelyard_runtime.server.grpc.calls import timeout_s
from modelyard_runtime.server.grpc.messages import status_pb2
from modelyard_runtime.server.problems import BadInput, TooLarge


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)  # test ids hold it: the same in every process


GATED = (
    "import threading\ngate = threading.Event()\ndef init(): pass\n"
    "def infer(inputs):\n    gate.wait(10)\n    return inputs\n"
)


def answer(reply: Any) -> pb.ModelInferResponse:
    (message,) = frames(reply.body)
    return pb.ModelInferResponse.FromString(message)


def test_a_call_is_answered_with_raw_contents_and_status_0(serve: Any):
    reply = serve(INFER, call("ModelInfer", request(id="9")))
    assert reply.trailers == {"grpc-status": "0"}
    assert (answer(reply).id, answer(reply).model_version, answer(reply).outputs[0].name) == ("9", "3", "y")
    assert answer(reply).raw_output_contents == [b"\0\0\x80?"]


def test_no_model_name_means_the_service(serve: Any):
    assert answer(serve(INFER, call("ModelInfer", request(model_name="")))).model_name == "digits"


@pytest.mark.parametrize("pieces", [1, 3, 5, 1000])
def test_a_message_may_come_in_any_pieces(serve: Any, pieces: int):
    body = frame(request().SerializeToString())
    parts = [body[start : start + pieces] for start in range(0, len(body), pieces)]
    assert status(serve(INFER, call("ModelInfer", [*parts, b""]))) == 0


def test_a_large_answer_comes_whole(serve: Any):
    values = bytes(range(256)) * 4096
    assert answer(serve(INFER, call("ModelInfer", request(values)))).raw_output_contents == [values]


@pytest.mark.parametrize("body", [b"", b"\0\0", b"\0\0\0\0\5abc", b"\0\0\0\0\1\xff", frame(b"") * 2])
def test_broken_frames_and_messages_are_invalid_argument(serve: Any, body: Any):
    assert status(serve(INFER, call("ModelInfer", body))) == 3


@pytest.mark.parametrize(
    ("method", "message", "headers", "code"),
    [
        ("Nothing", pb.ServerLiveRequest(), {}, 12),
        ("/no.Such/Method", pb.ServerLiveRequest(), {}, 12),
        ("ModelInfer", request(model_name="other"), {}, 5),
        ("ModelInfer", request(model_version="9"), {}, 5),
        ("ModelReady", pb.ModelReadyRequest(name="digits", version="9"), {}, 5),
        ("ModelMetadata", pb.ModelMetadataRequest(name="other"), {}, 5),
        ("RepositoryIndex", pb.RepositoryIndexRequest(repository_name="x"), {}, 3),
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="x"), {}, 12),
        ("ServerLive", pb.ServerLiveRequest(), {"grpc-timeout": "soon"}, 3),
        ("ModelInfer", request(bytes(1000)), {}, 8),
        ("ModelInfer", [frame(request(bytes(1000)).SerializeToString()), b""], {}, 8),
        ("ModelInfer", request(), {"grpc-encoding": "gzip"}, 12),
        ("ModelInfer", request(), {"grpc-encoding": "snappy"}, 12),
    ],
)
def test_refusals_have_their_status_and_a_reason(
    serve: Any, method: Any, message: Any, headers: Any, code: Any
):
    reply = serve(INFER, call(method, message, headers=headers), max_body_bytes=900)
    told, found = details(reply)
    assert (status(reply), told.code) == (code, code)
    info = status_pb2.ErrorInfo.FromString(found["ErrorInfo"])
    assert info.domain == "modelyard"
    assert info.reason.isupper()


def test_an_announced_length_over_the_limit_is_refused_before_the_rest_comes(serve: Any):
    body = [b"\0\xff\xff\xff\xff", *([b"x"] * 3)]
    assert status(serve(INFER, call("ModelInfer", body), max_body_bytes=900)) == 8


def test_a_violation_says_where_it_is(serve: Any):
    message = request()
    message.inputs[0].shape[:] = [-1]
    _, found = details(serve(INFER, call("ModelInfer", message)))
    (violation,) = status_pb2.BadRequest.FromString(found["BadRequest"]).field_violations
    assert violation.field == "inputs[0].shape"
    assert "-1" in violation.description


def test_overload_says_when_to_come_back(serve: Any):
    async def scenario(client: Any) -> Any:
        first = asyncio.ensure_future(call("ModelInfer", request())(client))
        await client.until(lambda: client.service.status()["running"] == 1)
        second = await call("ModelInfer", request())(client)
        sys.modules["score"].gate.set()
        return await first, second

    first, second = serve(GATED, scenario, max_queued=0)
    assert (status(first), status(second)) == (0, 8)
    _, found = details(second)
    assert status_pb2.RetryInfo.FromString(found["RetryInfo"]).retry_delay.seconds >= 1


def test_the_callers_deadline_ends_a_call(serve: Any):
    async def scenario(client: Any) -> Any:
        reply = await call("ModelInfer", request(), headers={"grpc-timeout": "50m"})(client)
        sys.modules["score"].gate.set()
        return reply

    assert status(serve(GATED, scenario)) == 4


def test_a_short_deadline_of_the_callers_own_costs_no_worker(serve: Any):
    async def scenario(client: Any) -> Any:
        hasty = await call("ModelInfer", request(), headers={"grpc-timeout": "50m"})(client)
        return hasty, await call("ModelInfer", request())(client), client.service.ready

    script = "import time\ndef init(): pass\ndef infer(inputs):\n    time.sleep(0.3)\n    return inputs\n"
    hasty, next_one, ready = serve(script, scenario, isolation="process", queue_wait_s=10.0)
    assert (status(hasty), status(next_one), ready) == (4, 0, True)


def test_a_call_whose_worker_ended_for_another_may_be_tried_again(
    serve: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(processes, "_NEIGHBOURS_S", 0.05)

    async def scenario(client: Any) -> Any:
        first = asyncio.ensure_future(call("ModelInfer", request())(client))
        await asyncio.sleep(0.5)
        return await asyncio.gather(first, call("ModelInfer", request())(client))

    script = "import time\ndef init(): pass\ndef infer(inputs): time.sleep(1000)\n"
    overdue, neighbour = serve(script, scenario, isolation="process", max_concurrent=2, timeout_s=1.0)
    assert (status(overdue), status(neighbour)) == (4, 14)
    _, found = details(neighbour)
    assert status_pb2.RetryInfo.FromString(found["RetryInfo"]).retry_delay.seconds == 1
    assert status_pb2.ErrorInfo.FromString(found["ErrorInfo"]).reason == "WORKER_ENDED"


def test_a_client_that_leaves_the_queue_frees_its_place(serve: Any):
    async def scenario(client: Any) -> Any:
        body = frame(request().SerializeToString())
        sent = {"content-type": "application/grpc"}
        gone = asyncio.Event()
        first = asyncio.ensure_future(client.ask("POST", f"{OIP}ModelInfer", body, headers=sent))
        await client.until(lambda: client.service.status()["running"] == 1)
        waiting = asyncio.ensure_future(client.ask("POST", f"{OIP}ModelInfer", body, headers=sent, gone=gone))
        await client.until(lambda: client.service.status()["queued"] == 1)
        gone.set()
        await client.until(lambda: client.service.status()["queued"] == 0)
        sys.modules["score"].gate.set()
        return await first, await waiting

    first, waiting = serve(GATED, scenario, queue_wait_s=30.0)
    assert status(first) == 0
    assert (waiting.body, waiting.trailers) == (b"", {})


def test_a_script_that_raises_is_internal_without_its_text(serve: Any):
    source = "def init(): pass\ndef infer(inputs): raise ValueError('secret')\n"
    reply = serve(source, call("ModelInfer", request()))
    assert status(reply) == 13
    assert "secret" not in str(details(reply)[0])


def test_a_generator_is_answered_by_the_stream_call_only(serve: Any):
    source = "def init(): pass\ndef infer(inputs):\n    yield inputs\n"
    reply = serve(source, call("ModelInfer", request()))
    assert status(reply) == 12
    assert "ModelStreamInfer" in reply.trailers["grpc-message"]


def test_a_script_that_is_not_ready_is_unavailable(serve: Any):
    source = "def init(): raise ValueError\ndef infer(inputs): return inputs\n"
    assert status(serve(source, call("ModelInfer", request()))) == 14
    assert status(serve(source, call("ServerLive", pb.ServerLiveRequest()))) == 0


@pytest.mark.parametrize(
    ("headers", "method", "code"),
    [
        ({"content-type": "application/grpc+json"}, "POST", 415),
        ({"content-type": "application/grpc-web"}, "POST", 415),
        ({}, "GET", 405),
    ],
)
def test_what_is_not_grpc_is_told_so_in_http(serve: Any, headers: Any, method: Any, code: int):
    reply = serve(INFER, call("ModelInfer", request(), headers=headers, method=method))
    assert (reply.status, set(reply.json)) == (code, {"code", "message", "request_id"})


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto"])
def test_both_names_of_protobuf_are_taken(serve: Any, kind: str):
    assert status(serve(INFER, call("ModelInfer", request(), headers={"content-type": kind}))) == 0


def test_compression_is_off_by_default_and_says_what_is_taken(serve: Any):
    body = frame(packed(request().SerializeToString()), compressed=True)
    reply = serve(INFER, call("ModelInfer", body, headers={"grpc-encoding": "gzip"}))
    assert (status(reply), reply.headers["grpc-accept-encoding"]) == (12, "identity")


@pytest.mark.parametrize("size", [4, 1 << 20])
def test_gzip_is_taken_and_given_where_it_is_on(serve: Any, size: int):
    values = bytes(size)
    body = frame(packed(request(values).SerializeToString()), compressed=True)
    headers = {"grpc-encoding": "gzip", "grpc-accept-encoding": "identity, gzip"}
    reply = serve(
        INFER, call("ModelInfer", body, headers=headers), compression=True, max_compression_ratio=2000
    )
    assert status(reply) == 0
    assert reply.headers["grpc-accept-encoding"] == "identity,gzip"
    (message,) = frames(reply.body)
    told = gzip.decompress(message) if reply.body[0] else message
    assert bool(reply.body[0]) == (size > 1000)
    assert pb.ModelInferResponse.FromString(told).raw_output_contents == [values]


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (frame(packed(bytes(100_000)), compressed=True), {"grpc-encoding": "gzip"}, 8),
        (frame(b"no gzip at all", compressed=True), {"grpc-encoding": "gzip"}, 3),
        (frame(packed(b"x")[:-3], compressed=True), {"grpc-encoding": "gzip"}, 3),
        (frame(packed(b"x") + b"y", compressed=True), {"grpc-encoding": "gzip"}, 3),
        (frame(packed(b"x"), compressed=True), {}, 3),
        (frame(packed(b"x"), compressed=True), {"grpc-encoding": "identity"}, 3),
    ],
)
def test_what_gzip_cannot_read_or_may_not_blow_up_is_refused(serve: Any, body: Any, headers: Any, code: int):
    assert status(serve(INFER, call("ModelInfer", body, headers=headers), compression=True)) == code


@given(st.binary(max_size=2000), st.integers(1, 200), st.integers(1, 3000))
def test_decompressing_gives_what_was_compressed_within_its_limits_or_refuses(
    content: Any, ratio: Any, limit: Any
):
    small = compression.compress(content)
    try:
        assert compression.decompress(small, limit=limit, ratio=ratio) == content
        assert len(content) <= min(limit, ratio * len(small))
    except TooLarge:
        assert len(content) > min(limit, ratio * len(small))


def whole_gzip(content: bytes) -> bytes | None:
    reader = zlib.decompressobj(31)
    try:
        found = reader.decompress(content)
    except zlib.error:
        return None
    return found if reader.eof and not reader.unused_data else None


@given(st.binary(max_size=200))
def test_bytes_that_are_no_gzip_are_refused(junk: bytes):
    if whole_gzip(junk) is None:
        with pytest.raises(BadInput):
            compression.decompress(junk, limit=1000, ratio=100)


@given(st.integers(0, 99_999_999), st.sampled_from("HMSmun"))
def test_every_timeout_of_the_protocol_is_read(amount: int, unit: str):
    scale = {"H": 3600, "M": 60, "S": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9}[unit]
    assert timeout_s(f"{amount}{unit}".encode()) == amount * scale


@pytest.mark.parametrize(
    "text", [b"", b"S", b"1", b"1s", b"-1S", b"123456789S", b"1.5S", "²S".encode("latin-1")]
)
def test_other_timeouts_are_refused(text: bytes):
    with pytest.raises(BadInput):
        timeout_s(text)


def test_a_message_for_a_client_never_breaks_its_headers(serve: Any):
    reply = serve(INFER, call("ModelInfer", request(model_name="é\n%" + "x" * 9000)))
    text = reply.trailers["grpc-message"]
    assert "%C3%A9%0A%25" in text
    assert len(text) < 4000
