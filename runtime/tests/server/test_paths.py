"""Paths that are not UTF-8: Envoy refuses them, since pyvoy would drop them without an answer."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.server.envoy.paths import UTF8_PATH

from runtime.tests.behaviour.replicas import Replica, replica

SCRIPT = "def init(): pass\ndef run(data): return data\n"
EDGES = [
    "00",
    "7f",
    "80",
    "8F",
    "90",
    "9f",
    "A0",
    "bf",
    "c1",
    "c2",
    "DF",
    "e0",
    "E1",
    "ed",
    "ef",
    "f0",
    "f4",
    "F5",
    "ff",
]
PIECES = st.sampled_from(
    ["%", "%4", "%f", "%zz", "a", "g", "/", "8", "\xe9", *(f"%{edge}" for edge in EDGES)]
)
ANSWER_S = 10.0


@pytest.fixture(scope="module")
def one() -> Iterator[Replica]:
    with replica(SCRIPT) as running:
        yield running.ready()


def is_utf8(path: str) -> bool:
    try:
        unquote_to_bytes(path.encode("ascii")).decode()
    except UnicodeError:
        return False
    return True


@given(st.lists(PIECES, max_size=8).map("".join))
def test_the_pattern_matches_just_the_paths_that_are_utf8(rest: str):
    assert bool(re.fullmatch(UTF8_PATH, f"/{rest}")) == is_utf8(f"/{rest}")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_pattern_matches_every_text_that_is_escaped(text: str):
    assert re.fullmatch(UTF8_PATH, quote(f"/{text}"))


@pytest.mark.parametrize(
    "path", ["/%ff", "/score%FF", "/v2/models/%ed%a0%80/infer", "/%c0%80?a=1", "/%C3", "/%%e9"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_that_is_not_utf8_is_refused_with_our_error_body(one: Replica, method: str, path: str):
    reply = one.ask(method, path, b"1" if method == "POST" else b"", {"x-request-id": 'my "own"'})
    told = json.loads(reply.body)
    assert (reply.status, told["code"], told["request_id"]) == (400, "BadRequest", 'my "own"')
    assert "UTF-8" in told["message"]
    assert (reply.header("content-type"), reply.header("x-ms-run-function-failed")) == (
        "application/json",
        "False",
    )
    assert reply.header("x-request-id") == reply.header("x-ms-request-id") == 'my "own"'


@pytest.mark.parametrize(
    "path", ["/v2/models/%C3%A9/ready", "/v2/models/%f0%9f%99%82/ready", "/%zz", "/%", "/%4"]
)
def test_any_other_path_reaches_python(one: Replica, path: str):
    assert one.ask("GET", path).status == 404


@pytest.mark.parametrize("query", ["%ff", "a=%FF%c0", "%"])
def test_a_query_may_hold_any_bytes(one: Replica, query: str):
    assert one.ask("GET", f"/v2/models/digit%73?{query}").status == 200


def test_a_grpc_call_to_such_a_path_is_unimplemented(one: Replica):
    with grpc.insecure_channel(f"unix:{one.socket}") as channel, pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary("/inference.GRPCInferenceService/%FF")(b"", timeout=ANSWER_S)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    "line",
    [
        b"GET /a\xff HTTP/1.1",
        b"GET /a%41\xff HTTP/1.1",
        b"GET /v2?a=\xff HTTP/1.1",
        b"GET http://x/score%FF HTTP/1.1",
        b"GET /a#%FF HTTP/1.1",
        b"GET a%FF HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"CONNECT x:80 HTTP/1.1",
        b"GET /v2 HTTP/1.1\r\nx-a: \xff\xfe",
        b"GET /v2 HTTP/1.1\r\ntraceid: \xff",
        b"GET / HTTP/1.1\r\nx-request-id: \xff",
        b"GET /%ff HTTP/1.1\r\nx-request-id: \xff",
        b"GET /v2 HTTP/1.1\r\nx-forwarded-proto: \xff",
        b"FROB /v2 HTTP/1.1",
    ],
)
def test_no_odd_byte_leaves_a_request_without_an_answer(one: Replica, line: bytes):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(ANSWER_S)
        client.connect(str(one.socket))
        client.sendall(line + b"\r\nhost: x\r\n\r\n")
        status = int(client.makefile("rb").readline().split()[1])
    assert 200 <= status < 500


@pytest.mark.parametrize("path", [b"/a\xff", b"/\xc3\xa9", b"/%ff", b"/v2?\xff", b"*", b"a%ff"])
def test_over_http2_too_every_path_ends_in_an_answer_or_a_reset(one: Replica, path: bytes):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(ANSWER_S)
        client.connect(str(one.socket))
        assert ended(client, path)


def ended(client: socket.socket, path: bytes) -> bool:
    settings = h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    connection = h2.connection.H2Connection(settings)
    connection.initiate_connection()
    asked = [(b":method", b"GET"), (b":path", path), (b":scheme", b"http"), (b":authority", b"x")]
    connection.send_headers(1, asked, end_stream=True)
    client.sendall(connection.data_to_send())
    over = (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)
    while received := client.recv(65536):
        if any(isinstance(event, over) for event in connection.receive_data(received)):
            return True
        client.sendall(connection.data_to_send())
    return True
