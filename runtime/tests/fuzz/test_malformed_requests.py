"""A thousand broken requests to real replicas: every answer is an error of one shape, none a fault of the server."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from modelyard_runtime.contract import ModelEntry

from runtime.tests.behaviour.replicas import Replica, asked, replica
from runtime.tests.fuzz import scripts, seeds
from runtime.tests.fuzz.mutations import damaged, damaged_text

COUNT = 1000
OURS_TO_BLAME = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})
GROWTH_BYTES = 8 * 1024 * 1024
"""What memory may grow by in a second round of a thousand requests; the first round warms up."""
JSON_TYPE = {"Content-Type": "application/json"}


@pytest.fixture(scope="module", params=["thread", "process"])
def tensors(request: Any) -> Iterator[Replica]:
    with replica(scripts.TENSORS, isolation=request.param, max_queued=100) as one:
        yield one.ready()


@pytest.fixture(scope="module")
def text() -> Iterator[Replica]:
    with replica(scripts.TEXT, max_queued=100) as one:
        yield one.ready()


@pytest.fixture(scope="module")
def schema() -> Iterator[Replica]:
    with replica(scripts.SCHEMA, max_queued=100) as one:
        yield one.ready()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """A replica whose models are loaded by name."""
    models = (ModelEntry(name="digits", version="3", path=str(tmp_path_factory.mktemp("model"))),)
    with replica(scripts.TENSORS, isolation="process", multi_model=True, models=models) as one:
        yield one.ready()


@pytest.fixture(scope="module")
def channel(tensors: Replica) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"unix:{tensors.socket}") as opened:
        yield opened


def call(channel: grpc.Channel, method: str, message: bytes) -> grpc.StatusCode:
    try:
        channel.unary_unary(method)(message, timeout=20)
    except grpc.RpcError as error:
        check_words(error.details() or "Traceback: refused without a word")
        return error.code()
    return grpc.StatusCode.OK


def talk(channel: grpc.Channel, method: str, messages: list[bytes]) -> grpc.StatusCode:
    try:
        for answer in channel.stream_stream(method)(iter(messages), timeout=20):
            check_words(answer.decode("latin-1"))
    except grpc.RpcError as error:
        check_words(error.details())
        return error.code()
    return grpc.StatusCode.OK


def check_words(said: str) -> None:
    assert "Traceback" not in said
    assert 'File "' not in said


def check(one: Any, what: bytes) -> None:
    assert one.status < 500, f"{what[:300]!r}: {one.status} {one.body!r}"
    check_words(one.body.decode("latin-1"))
    if one.status >= 400:
        document = json.loads(one.body)
        assert {"code", "message", "request_id"} <= document.keys(), f"{what[:300]!r}: {one.body!r}"
        assert document["message"]


def memory_after(one: Replica) -> int:
    one.until(lambda: (status := one.status())["running"] == 0 and status["queued"] == 0)
    return one.resident_bytes()


@pytest.mark.parametrize("method", seeds.unary())
def test_a_broken_message_is_never_the_servers_fault(channel: grpc.Channel, tensors: Replica, method: str):
    messages = damaged(seeds.unary()[method], seed=len(method), count=COUNT // 10)
    blamed = {
        message: code for message in messages if (code := call(channel, method, message)) in OURS_TO_BLAME
    }
    assert not blamed
    assert "Traceback" not in tensors.log()


@pytest.mark.parametrize("method", seeds.streams())
def test_a_broken_message_in_a_stream_is_never_the_servers_fault(
    channel: grpc.Channel, tensors: Replica, method: str
):
    messages = list(damaged(seeds.streams()[method], seed=1, count=COUNT // 10))
    for start in range(0, len(messages), 5):
        assert talk(channel, method, messages[start : start + 5]) not in OURS_TO_BLAME
    assert "Traceback" not in tensors.log()


def test_memory_is_flat_over_a_thousand_broken_inferences(channel: grpc.Channel, tensors: Replica):
    method = f"{seeds.OIP}/ModelInfer"
    held = []
    for seed in (11, 12):
        for message in damaged(seeds.infers(), seed=seed, count=COUNT):
            assert call(channel, method, message) not in OURS_TO_BLAME
        held.append(memory_after(tensors))
    assert held[1] - held[0] < GROWTH_BYTES


def test_broken_v2_bodies_are_bad_requests(tensors: Replica):
    connection = tensors.connection()
    for body in damaged_text(seeds.rest_infers(), seed=2, count=COUNT):
        check(asked(connection, "POST", "/v2/models/digits/infer", body, JSON_TYPE), body)
    connection.close()
    assert "Traceback" not in tensors.log()


def test_broken_binary_v2_bodies_are_bad_requests(tensors: Replica):
    connection = tensors.connection()
    whole, head = seeds.binary_infer()
    lengths = (
        head,
        head,
        head,
        head - 1,
        head + 1,
        0,
        -1,
        len(whole),
        len(whole) + 1,
        10**20,
        "",
        "x",
        "1.5",
        "\xb2",
    )
    for number, body in enumerate(damaged([whole], seed=3, count=COUNT // 2)):
        announced = {"Inference-Header-Content-Length": str(lengths[number % len(lengths)])}
        check(asked(connection, "POST", "/v2/models/digits/infer", body, announced), body)
    connection.close()
    assert "Traceback" not in tensors.log()


def test_memory_is_flat_over_a_thousand_broken_bodies(tensors: Replica):
    connection = tensors.connection()
    held = []
    for seed in (21, 22):
        for body in damaged_text(seeds.rest_infers(), seed=seed, count=COUNT):
            check(asked(connection, "POST", "/v2/models/digits/infer", body, JSON_TYPE), body)
        held.append(memory_after(tensors))
    connection.close()
    assert held[1] - held[0] < GROWTH_BYTES


@pytest.mark.parametrize(
    "path", ["/v2/repository/index", "/v2/repository/models/other/load", "/swagger.json"]
)
def test_broken_bodies_to_whatever_else_takes_one_are_answered(many: Replica, path: str):
    connection = many.connection()
    for body in damaged_text(seeds.REPOSITORY_BODIES, seed=6, count=COUNT // 5):
        check(asked(connection, "POST", path, body, JSON_TYPE), body)
    connection.close()
    assert "Traceback" not in many.log()


def test_broken_bodies_for_a_schema_are_bad_requests(schema: Replica):
    connection = schema.connection()
    held = []
    for seed in (31, 32):
        for body in damaged_text(seeds.SCHEMA_BODIES, seed=seed, count=COUNT // 2):
            check(asked(connection, "POST", "/score", body, JSON_TYPE), body)
        held.append(memory_after(schema))
    connection.close()
    assert held[1] - held[0] < GROWTH_BYTES
    assert "Traceback" not in schema.log()


def test_any_text_is_scored_or_refused(text: Replica):
    connection = text.connection()
    for body in damaged_text(seeds.TEXT_BODIES, seed=4, count=COUNT):
        check(asked(connection, "POST", "/score", body, JSON_TYPE), body)
    connection.close()
    assert "Traceback" not in text.log()


def test_tensors_for_a_text_script_may_be_as_broken(text: Replica):
    with grpc.insecure_channel(f"unix:{text.socket}") as opened:
        for message in damaged(seeds.infers(), seed=5, count=COUNT // 2):
            assert call(opened, f"{seeds.OIP}/ModelInfer", message) not in OURS_TO_BLAME


@pytest.mark.parametrize(
    "path",
    [
        "/score?%ff=%",
        "/score?a=" + "[" * 5000,
        "/swagger.json?version=%00",
        "/v2/models//versions//infer",
        "/%2e%2e/score",
    ],
)
def test_odd_paths_and_queries_are_answered(text: Replica, path: str):
    one = text.ask("GET", path)
    assert one.status < 500
    check_words(one.body.decode("latin-1"))


def test_a_path_that_is_not_utf8_is_answered(text: Replica):
    reply = text.ask("GET", "/v2/models/%ff/ready")
    check(reply, b"")
    assert reply.status == 400


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"POST /score HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x-long: " + b"a" * 100_000 + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 40,
    ],
)
def test_what_is_not_http_leaves_the_replica_well(text: Replica, raw: bytes):
    connection = text.connection()
    connection.connect()
    connection.sock.sendall(raw)
    try:
        answer = connection.sock.recv(1000)
    except OSError:
        answer = b""
    assert not answer.startswith(b"HTTP/1.1 5")
    connection.close()
    assert text.ask("GET", "/").status == http.HTTPStatus.OK
