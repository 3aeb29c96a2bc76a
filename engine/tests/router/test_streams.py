"""An answer that goes on coming is never cut, one that falls silent is; nothing is held back on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest

from engine.tests.router.conftest import KEY, Replica, Rig, key_policy, service

pytestmark = pytest.mark.e2e

STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
LIMIT_S = 0.3


class Chat(grpc.GenericRpcHandler):
    """Echoes each message of a stream; answers `wait` never."""

    def service(self, details: Any) -> Any:
        if details.method in ("/grpc.health.v1.Health/Watch", STREAM):
            return grpc.stream_stream_rpc_method_handler(self.echo)
        return grpc.unary_unary_rpc_method_handler(lambda request, _: details.method.encode() + request)

    def echo(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for request in requests:
            if request == b"wait":
                over = threading.Event()
                context.add_callback(over.set)
                over.wait(15)
                return
            yield request


@pytest.fixture(scope="module")
def chat(shared: Rig) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Chat(),))
    path = shared.root / "chat.sock"
    server.add_insecure_port(f"unix:{path}")
    server.start()
    yield f"unix:{path}"
    shared.publish()
    server.stop(0).wait()


@pytest.fixture
def channel(shared: Rig) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{shared.settings.port}") as made:
        yield made


@pytest.fixture
def replica(shared: Rig) -> Iterator[Replica]:
    made = shared.replica()
    yield made
    made.close()
    shared.replicas.remove(made)


def test_an_http_answer_outlives_the_time_limit_while_it_comes(shared: Rig, replica: Replica):
    shared.publish(service("a", replica.address, timeout_seconds=LIMIT_S))
    arrivals, pieces = [], b""
    with shared.client() as client, client.stream("GET", "/api/v1/service/a/v2/drip") as answer:
        for piece in answer.iter_raw():
            arrivals.append(time.monotonic())
            pieces += piece
    assert pieces == b"0\n1\n2\n3\n4\n"
    assert len(arrivals) == 5  # each piece at once: nothing was gathered
    assert arrivals[-1] - arrivals[0] > LIMIT_S


def test_an_http_answer_that_falls_silent_is_ended(shared: Rig, replica: Replica):
    # a first byte that comes later than the limit makes it a 504: so long no machine takes
    shared.publish(service("a", replica.address, timeout_seconds=1.5))
    with (
        shared.client() as client,
        client.stream("GET", "/api/v1/service/a/v2/drip-silent") as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        answer.read()


def talk(channel: grpc.Channel, *messages: bytes, pause_s: float = 0.15, **options: Any) -> list[bytes]:
    """Send slowly; return what came back."""

    def slowly() -> Iterator[bytes]:
        for message in messages:
            yield message
            time.sleep(pause_s)

    return list(channel.stream_stream(options.pop("method", STREAM))(slowly(), **options))


@pytest.mark.parametrize("method", [STREAM, "/grpc.health.v1.Health/Watch"])
@pytest.mark.parametrize("timeout", [None, 10])
def test_a_grpc_stream_outlives_the_time_limit_while_it_is_used(
    shared: Rig, chat: str, channel: grpc.Channel, method: str, timeout: float | None
):
    shared.publish(service("a", chat, timeout_seconds=LIMIT_S))
    messages = [b"%d" % number for number in range(6)]
    assert talk(channel, *messages, method=method, timeout=timeout) == messages


def test_a_grpc_stream_ends_with_its_clients_deadline(shared: Rig, chat: str, channel: grpc.Channel):
    shared.publish(service("a", chat))
    with pytest.raises(grpc.RpcError) as caught:
        talk(channel, b"1", b"wait", timeout=0.5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


class Watching(grpc.GenericRpcHandler):
    """Answers a watch at once, then says nothing until told."""

    def __init__(self) -> None:
        self.news = threading.Event()

    def service(self, _: Any) -> Any:
        return grpc.unary_stream_rpc_method_handler(self.watch)

    def watch(self, request: bytes, _: Any) -> Iterator[bytes]:
        yield request
        self.news.wait(15)
        yield b"news"


def test_a_watch_outlives_the_time_limit_though_nothing_happens(shared: Rig, channel: grpc.Channel):
    watching, server = Watching(), grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((watching,))
    server.add_insecure_port(f"unix:{shared.root}/watch.sock")
    server.start()
    try:
        shared.publish(service("a", f"unix:{shared.root}/watch.sock", timeout_seconds=LIMIT_S))
        heard = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"now", timeout=15)
        assert next(heard) == b"now"
        threading.Timer(4 * LIMIT_S, watching.news.set).start()
        assert list(heard) == [b"news"]
    finally:
        watching.news.set()
        server.stop(0).wait()


def test_a_grpc_stream_that_is_silent_beyond_its_own_limit_is_ended(
    shared: Rig, chat: str, channel: grpc.Channel
):
    shared.publish(service("a", chat, stream_idle_seconds=LIMIT_S))
    with pytest.raises(grpc.RpcError) as caught:
        talk(channel, b"wait", pause_s=0, timeout=10)
    assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@pytest.mark.parametrize(
    "method",
    [
        "/tensorflow.serving.PredictionService/Predict",
        "/tensorflow.serving.ModelService/GetModelStatus",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
@pytest.mark.parametrize(
    "metadata",
    [("modelyard-service", "b"), ("x-ms-aml-grpc-service-route", "/api/v1/service/b")],
)
def test_the_other_protocols_are_routed_like_inference_and_want_the_key(
    shared: Rig, chat: str, channel: grpc.Channel, method: str, metadata: tuple[str, str]
):
    shared.publish(service("a", auth=key_policy(KEY)), service("b", chat, auth=key_policy(KEY)))
    call = channel.unary_unary(method)
    bearer = ("authorization", f"Bearer {KEY}")
    assert call(b"!", metadata=(metadata, bearer), timeout=10) == method.encode() + b"!"
    with pytest.raises(grpc.RpcError) as caught:
        call(b"!", metadata=(metadata,), timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.RpcError) as caught:
        call(b"!", metadata=(bearer,), timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_the_authority_names_the_service_for_a_client_that_sends_no_metadata(shared: Rig, chat: str):
    shared.publish(service("a"), service("b", chat))
    options = (("grpc.default_authority", "b"),)
    with grpc.insecure_channel(f"127.0.0.1:{shared.settings.port}", options=options) as channel:
        method = "/tensorflow.serving.PredictionService/Predict"
        assert channel.unary_unary(method)(b"", timeout=10) == method.encode()
