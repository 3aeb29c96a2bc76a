from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import grpc
import pytest

from engine.tests.router.conftest import KEY, Rig, key_policy, service

pytestmark = pytest.mark.e2e
METHOD = "/inference.GRPCInferenceService/ModelInfer"


class Echo(grpc.GenericRpcHandler):
    """Answers every call with its own name and the metadata it saw; streams are echoed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def service(self, details: Any) -> Any:
        if details.method.endswith("Stream"):
            return grpc.stream_stream_rpc_method_handler(lambda requests, _context: requests)
        return grpc.unary_unary_rpc_method_handler(self.answer)

    def answer(self, request: bytes, context: Any) -> bytes:
        keys = ",".join(key for key, _ in context.invocation_metadata())
        return f"{self.name}|{request.decode()}|{keys}".encode()


@pytest.fixture(scope="module")
def servers(shared: Rig) -> Iterator[dict[str, str]]:
    """Two gRPC replicas, `a` and `b`: address by name."""
    running, addresses = [], {}
    for name in ("a", "b"):
        path = Path(shared.root / f"grpc-{name}.sock")
        server = grpc.server(ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers((Echo(name),))
        server.add_insecure_port(f"unix:{path}")
        server.start()
        running.append(server)
        addresses[name] = f"unix:{path}"
    yield addresses
    shared.publish()
    for server in running:
        server.stop(0).wait()


def call(rig: Rig, *metadata: tuple[str, str], authority: str = "x", method: str = METHOD) -> tuple[str, str]:
    """Return who answered and which metadata it saw."""
    options = (("grpc.default_authority", authority), ("grpc.enable_http_proxy", 0))
    with grpc.insecure_channel(f"127.0.0.1:{rig.settings.port}", options=options) as channel:
        answer = channel.unary_unary(method)(b"hi", metadata=metadata, timeout=10)
    name, request, seen = answer.decode().split("|")
    assert request == "hi"
    return name, seen


def refused(rig: Rig, *metadata: tuple[str, str], **more: str) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call(rig, *metadata, **more)
    code: grpc.StatusCode = caught.value.code()
    return code


@pytest.mark.parametrize(
    "metadata",
    [
        ("modelyard-service", "b"),
        ("modelyard-service", "default/b"),
        ("x-ms-aml-grpc-service-route", "/api/v1/service/b"),
        ("x-ms-aml-grpc-service-route", "/api/v1/service/b/"),
        ("x-ms-aml-grpc-service-route", "/api/v1/namespace/default/service/b"),
    ],
)
def test_metadata_names_the_service(shared: Rig, servers: dict[str, str], metadata: tuple[str, str]):
    shared.publish(service("a", servers["a"]), service("b", servers["b"]))
    assert call(shared, metadata)[0] == "b"


@pytest.mark.parametrize("authority", ["b", "b:8484", "b.example.org", "b.default:80"])
def test_the_authority_names_the_service(shared: Rig, servers: dict[str, str], authority: str):
    shared.publish(service("a", servers["a"]), service("b", servers["b"]))
    assert call(shared, authority=authority)[0] == "b"


def test_a_service_of_another_namespace_is_named_with_it(shared: Rig, servers: dict[str, str]):
    shared.publish(service("a", servers["a"]), service("a", servers["b"], namespace="team"))
    assert call(shared, ("modelyard-service", "team/a"))[0] == "b"
    assert call(shared, ("modelyard-service", "a"))[0] == "a"
    assert call(shared, authority="a.team")[0] == "b"


def test_the_only_service_needs_no_name(shared: Rig, servers: dict[str, str]):
    shared.publish(service("a", servers["a"]))
    assert call(shared)[0] == "a"


def test_the_default_service_needs_no_name(shared: Rig, servers: dict[str, str]):
    shared.publish(service("a", servers["a"]), service("b", servers["b"], default=True))
    assert call(shared)[0] == "b"


def test_an_unknown_name_is_not_answered_by_the_default(shared: Rig, servers: dict[str, str]):
    shared.publish(service("a", servers["a"]))
    assert refused(shared, ("modelyard-service", "nobody")) is grpc.StatusCode.UNIMPLEMENTED
    assert refused(shared, ("modelyard-service", "nobody"), authority="a") is grpc.StatusCode.UNIMPLEMENTED


def test_without_a_name_one_of_many_is_not_guessed(shared: Rig, servers: dict[str, str]):
    shared.publish(service("a", servers["a"]), service("b", servers["b"]))
    assert refused(shared) is grpc.StatusCode.UNIMPLEMENTED


def test_other_grpc_services_are_not_reached(shared: Rig, servers: dict[str, str]):
    shared.publish(service("a", servers["a"]))
    assert refused(shared, method="/modelyard.Status/Get") is grpc.StatusCode.UNIMPLEMENTED


def test_the_key_is_checked_and_taken_off(shared: Rig, servers: dict[str, str]):
    shared.publish(service("a", servers["a"], auth=key_policy(KEY)))
    assert refused(shared) is grpc.StatusCode.UNAUTHENTICATED
    assert refused(shared, ("authorization", "Bearer wrong")) is grpc.StatusCode.UNAUTHENTICATED
    name, seen = call(shared, ("authorization", f"Bearer {KEY}"))
    assert name == "a"
    assert "authorization" not in seen


def test_without_replicas_grpc_is_told_to_try_again(shared: Rig):
    shared.publish(service("a"))
    assert refused(shared) is grpc.StatusCode.UNAVAILABLE


def test_streams_go_both_ways(shared: Rig, servers: dict[str, str]):
    shared.publish(service("a", servers["a"]))
    with grpc.insecure_channel(f"127.0.0.1:{shared.settings.port}") as channel:
        stream = channel.stream_stream("/inference.GRPCInferenceService/ModelStream")
        assert list(stream(iter([b"1", b"2", b"3"]), timeout=10)) == [b"1", b"2", b"3"]


def test_requests_of_one_connection_are_spread_over_the_replicas(shared: Rig, servers: dict[str, str]):
    shared.publish(attrs.evolve(service("a", servers["a"], servers["b"])))

    async def many() -> set[str]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{shared.settings.port}") as channel:
            answers = await asyncio.gather(
                *(channel.unary_unary(METHOD)(b"hi", timeout=10) for _ in range(40))
            )
        return {answer.decode().split("|")[0] for answer in answers}

    assert asyncio.run(many()) == {"a", "b"}
