"""A caller that vanished is found by pings, however long its streams may be silent."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from engine.tests.router.conftest import Rig, rig, service

pytestmark = pytest.mark.e2e

WATCH = "/grpc.health.v1.Health/Watch"
PING_S, PONG_S = 0.3, 1.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, SETTINGS = 1, 4
END_HEADERS = 4


class Silent(grpc.GenericRpcHandler):
    """Holds each stream until its caller is gone, or until there is news."""

    def __init__(self) -> None:
        self.begun, self.ended, self.news = (threading.Event() for _ in range(3))

    def service(self, _: Any) -> Any:
        return grpc.stream_stream_rpc_method_handler(self.hold)

    def hold(self, _requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        context.add_callback(self.ended.set)
        self.begun.set()
        self.news.wait(30)
        yield b"news"


@pytest.fixture(scope="module")
def pinging() -> Iterator[Rig]:
    with rig() as made:
        made.keepalive = {"ping_seconds": PING_S, "pong_seconds": PONG_S}
        made.up()
        yield made


@pytest.fixture
def silent(pinging: Rig) -> Iterator[Silent]:
    made, server = Silent(), grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((made,))
    address = f"unix:{pinging.root}/silent{next(pinging.numbers)}.sock"
    server.add_insecure_port(address)
    server.start()
    pinging.publish(service("a", address))
    yield made
    made.news.set()
    server.stop(0).wait()


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Write a frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def literal(name: str, value: str) -> bytes:
    """Write a header as HPACK's plainest form: neither indexed nor compressed."""
    return b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def open_stream() -> bytes:
    """Write all that a client says before it falls silent: a gRPC stream, begun and left open."""
    asked = {":method": "POST", ":scheme": "http", ":path": WATCH, ":authority": "a"}
    more = {"content-type": "application/grpc", "te": "trailers"}
    block = b"".join(literal(name, value) for name, value in {**asked, **more}.items())
    return PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, block)


def test_the_stream_of_a_caller_that_answers_no_ping_is_ended_at_the_replica(pinging: Rig, silent: Silent):
    with socket.create_connection(("127.0.0.1", pinging.settings.port)) as caller:
        caller.sendall(open_stream())
        assert silent.begun.wait(15)
        assert silent.ended.wait(15)


def test_a_silent_stream_of_a_caller_that_answers_pings_stays_open(pinging: Rig, silent: Silent):
    with grpc.insecure_channel(f"127.0.0.1:{pinging.settings.port}") as channel:
        heard = channel.stream_stream(WATCH)(iter(()), timeout=30)
        assert silent.begun.wait(15)
        time.sleep(2 * (PING_S + PONG_S))
        assert not silent.ended.is_set()
        silent.news.set()
        assert next(heard) == b"news"
