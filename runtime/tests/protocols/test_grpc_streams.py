"""ModelStreamInfer, Watch and reflection byte by byte: pieces, cuts, leaving, deadlines."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from grpc_calls import INFER, OIP, call, frame, frames, request, status
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.oip import open_inference_pb2 as pb
from modelyard_runtime.server.grpc import reflection
from modelyard_runtime.server.grpc.messages import reflection_pb2

STREAM = "ModelStreamInfer"
ENDLESS = """
given = 0
def init(): pass
def infer(inputs):
    global given
    while True:
        given += 1
        yield inputs
"""
GATED = (
    "import threading\ngate = threading.Event()\ndef init(): pass\n"
    "def infer(inputs):\n    gate.wait(10)\n    return inputs\n"
)


def answers(reply: Any) -> list[pb.ModelStreamInferResponse]:
    return [pb.ModelStreamInferResponse.FromString(message) for message in frames(reply.body)]


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_requests_may_be_cut_and_joined_anywhere(serve: Any, size: int):
    body = b"".join(frame(request(id=str(number)).SerializeToString()) for number in range(5))
    reply = serve(INFER, call(STREAM, [body[at : at + size] for at in range(0, len(body), size)]))
    assert status(reply) == 0
    assert [answer.infer_response.id for answer in answers(reply)] == list("01234")


def test_a_request_that_breaks_the_protocol_fails_alone_and_by_its_id(serve: Any):
    bad = request(id="1")
    bad.inputs[0].shape[:] = [-1]
    sent = [request(id="0"), bad, request(id="2", model_name="other"), request(id="3")]
    body = b"".join(frame(message.SerializeToString()) for message in sent) + frame(b"\xff") + frame(b"")
    reply = serve(INFER, call(STREAM, body))
    assert status(reply) == 0
    assert [bool(answer.error_message) for answer in answers(reply)] == [False, True, True, False, True, True]
    assert "dimension" in answers(reply)[1].error_message
    assert [answer.infer_response.id for answer in answers(reply)][2:4] == ["2", "3"]


def test_a_stream_without_requests_succeeds(serve: Any):
    assert (status(serve(INFER, call(STREAM, b""))), serve(INFER, call(STREAM, b"")).body) == (0, b"")


def test_a_request_cut_off_by_the_end_is_invalid_argument(serve: Any):
    body = frame(request().SerializeToString())
    reply = serve(INFER, call(STREAM, body + body[:-1]))
    assert (status(reply), len(answers(reply))) == (3, 1)


def test_a_request_over_the_limit_ends_the_stream(serve: Any):
    body = frame(request().SerializeToString()) + frame(request(bytes(1000)).SerializeToString())
    reply = serve(INFER, call(STREAM, body), max_body_bytes=900)
    assert (status(reply), len(answers(reply))) == (8, 1)


def test_a_generator_that_raises_says_so_after_what_it_gave(serve: Any):
    source = "def init(): pass\ndef infer(inputs):\n    yield inputs\n    raise ValueError('secret')\n"
    first, second = answers(serve(source, call(STREAM, request(id="7"))))
    assert not first.error_message
    assert second.error_message
    assert "secret" not in second.error_message
    assert second.infer_response.id == "7"


def test_a_client_that_leaves_stops_the_generator(serve: Any):
    async def scenario(client: Any) -> None:
        gone = asyncio.Event()
        sent = {"content-type": "application/grpc"}
        body = frame(request().SerializeToString())
        asking = asyncio.ensure_future(
            client.ask("POST", f"{OIP}{STREAM}", [body, b""], headers=sent, gone=gone)
        )
        await client.until(lambda: "score" in sys.modules and sys.modules["score"].given > 10)
        gone.set()
        assert (await asking).trailers == {}
        await client.until(lambda: client.service.status()["running"] == 0)
        before = sys.modules["score"].given
        await asyncio.sleep(0.05)
        assert sys.modules["score"].given == before

    serve(ENDLESS, scenario)


def test_the_streams_own_deadline_ends_it(serve: Any):
    async def scenario(client: Any) -> Any:
        reply = await call(STREAM, request(), headers={"grpc-timeout": "100m"})(client)
        sys.modules["score"].gate.set()
        return reply

    reply = serve(GATED, scenario)
    assert status(reply) in {0, 4}
    assert not reply.body or "in time" in answers(reply)[0].error_message


def test_a_stream_counts_as_running_until_it_ends(serve: Any):
    async def scenario(client: Any) -> tuple[int, int]:
        asking = asyncio.ensure_future(call(STREAM, request())(client))
        await client.until(lambda: client.service.status()["running"] == 1)
        during = client.service.open
        sys.modules["score"].gate.set()
        await asking
        return during, client.service.open

    assert serve(GATED, scenario) == (1, 0)


def ask(**question: Any) -> reflection_pb2.ServerReflectionResponse:
    return reflection.answer(reflection_pb2.ServerReflectionRequest(**question))


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"file_by_filename": "nothing.proto"}, 5),
        ({"file_containing_symbol": "no.Thing"}, 5),
        ({"all_extension_numbers_of_type": "no.Thing"}, 5),
        ({"file_containing_extension": {"containing_type": "no.Thing", "extension_number": 1}}, 5),
        ({}, 3),
    ],
)
def test_questions_without_an_answer_are_errors_that_keep_the_stream(question: Any, code: int):
    assert ask(**question).error_response.error_code == code


@given(st.text(max_size=30))
def test_any_symbol_is_described_or_not_found(symbol: str):
    reply = ask(file_containing_symbol=symbol)
    assert reply.WhichOneof("message_response") in {"file_descriptor_response", "error_response"}


def test_no_name_of_ours_is_published():
    for service in reflection.services():
        for content in ask(file_containing_symbol=service).file_descriptor_response.file_descriptor_proto:
            assert b"modelyard" not in content
