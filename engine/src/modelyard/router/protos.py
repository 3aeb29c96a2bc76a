"""Envoy's protobuf messages and gRPC methods, in our own words: the only module that imports them.

They come without types, so what leaves here is typed by hand: bytes, JSON and the frozen values below.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import attrs
import grpc
import grpc.aio
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.service.discovery.v3 import discovery_pb2
from envoy.service.load_stats.v3 import lrs_pb2
from envoy.service.runtime.v3 import rtds_pb2
from google.protobuf import any_pb2, json_format

# Messages that only ever travel inside an Any: importing them makes them known to the JSON reader.
for _module in (
    "envoy.extensions.access_loggers.stream.v3.stream_pb2",
    "envoy.extensions.filters.http.cors.v3.cors_pb2",
    "envoy.extensions.filters.http.lua.v3.lua_pb2",
    "envoy.extensions.filters.http.router.v3.router_pb2",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "envoy.extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2",
    "envoy.extensions.request_id.uuid.v3.uuid_pb2",
    "envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2",
    "envoy.extensions.upstreams.http.v3.http_protocol_options_pb2",
):
    importlib.import_module(_module)

_PREFIX = "type.googleapis.com/"
CLUSTER = f"{_PREFIX}envoy.config.cluster.v3.Cluster"
ENDPOINTS = f"{_PREFIX}envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = f"{_PREFIX}envoy.config.listener.v3.Listener"
ROUTES = f"{_PREFIX}envoy.config.route.v3.RouteConfiguration"
RUNTIME = f"{_PREFIX}envoy.service.runtime.v3.Runtime"

TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTES, RUNTIME)
"""In the order in which they must be sent: what is referred to before what refers to it."""

_MESSAGES: Mapping[str, Any] = {
    CLUSTER: cluster_pb2.Cluster,
    ENDPOINTS: endpoint_pb2.ClusterLoadAssignment,
    LISTENER: listener_pb2.Listener,
    ROUTES: route_pb2.RouteConfiguration,
    RUNTIME: rtds_pb2.Runtime,
}
_ADS = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_LRS = "envoy.service.load_stats.v3.LoadReportingService"
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_INVALID_ARGUMENT = 3

STREAM_ERRORS = (grpc.aio.AioRpcError, grpc.aio.UsageError, grpc.aio.InternalError, asyncio.InvalidStateError)
"""What a stream raises when the other side is gone."""

Heard = TypeVar("Heard")
Said = TypeVar("Said")


@attrs.frozen
class Ask:
    """One DiscoveryRequest: a subscription, an ACK, or with `error` a NACK."""

    type_url: str
    version: str = ""
    nonce: str = ""
    names: tuple[str, ...] = ()
    error: str = ""
    node: str = ""


@attrs.frozen
class Answer:
    """One DiscoveryResponse; resources are serialised messages of `type_url`."""

    type_url: str
    version: str
    nonce: str
    resources: tuple[bytes, ...] = ()


def encode(type_url: str, document: Mapping[str, Any]) -> bytes:
    """Turn a resource written as JSON into its message's bytes. Raises ValueError when it is none."""
    message = _MESSAGES[type_url]()
    try:
        json_format.ParseDict(dict(document), message)
    except json_format.ParseError as error:
        msg = f"{type_url.removeprefix(_PREFIX)}: {error}"
        raise ValueError(msg) from error
    content: bytes = message.SerializeToString(deterministic=True)
    return content


def decode(type_url: str, content: bytes) -> dict[str, Any]:
    """Turn a resource's bytes into JSON; for people and tests."""
    document: dict[str, Any] = json_format.MessageToDict(_MESSAGES[type_url].FromString(content))
    return document


def listening_port(listeners: Iterable[bytes]) -> int:
    """Return the port of the first listener; 0 when there is none."""
    messages = (listener_pb2.Listener.FromString(content) for content in listeners)
    return next((int(m.address.socket_address.port_value) for m in messages), 0)


def longest_timeout_seconds(route_configurations: Iterable[bytes]) -> float:
    """Return the longest time limit of any route; 0 when there is none."""
    tables = [route_pb2.RouteConfiguration.FromString(content) for content in route_configurations]
    routes = (route for table in tables for host in table.virtual_hosts for route in host.routes)
    return max((float(route.route.timeout.ToTimedelta().total_seconds()) for route in routes), default=0.0)


class Server(Protocol):
    """What `make_server` gives."""

    async def start(self) -> None:
        """Listen."""

    async def stop(self, grace: float | None) -> None:
        """Hang up after at most `grace` seconds."""


def _ask_to_bytes(ask: Ask) -> bytes:
    message = discovery_pb2.DiscoveryRequest(
        version_info=ask.version,
        type_url=ask.type_url,
        response_nonce=ask.nonce,
        resource_names=ask.names,
    )
    message.node.id = ask.node
    if ask.error:
        message.error_detail.code = _INVALID_ARGUMENT
        message.error_detail.message = ask.error
    content: bytes = message.SerializeToString()
    return content


def _ask_from_bytes(content: bytes) -> Ask:
    message = discovery_pb2.DiscoveryRequest.FromString(content)
    error = message.error_detail.message or "no reason given" if message.HasField("error_detail") else ""
    return Ask(
        type_url=message.type_url,
        version=message.version_info,
        nonce=message.response_nonce,
        names=tuple(sorted(message.resource_names)),
        error=error,
        node=message.node.id,
    )


def _answer_to_bytes(answer: Answer) -> bytes:
    message = discovery_pb2.DiscoveryResponse(
        version_info=answer.version, type_url=answer.type_url, nonce=answer.nonce
    )
    message.resources.extend(any_pb2.Any(type_url=answer.type_url, value=r) for r in answer.resources)
    content: bytes = message.SerializeToString()
    return content


def _answer_from_bytes(content: bytes) -> Answer:
    message = discovery_pb2.DiscoveryResponse.FromString(content)
    resources = tuple(resource.value for resource in message.resources)
    return Answer(message.type_url, message.version_info, message.nonce, resources)


def load_request(*, interval_seconds: float) -> bytes:
    """Ask a router to report the load of every cluster, endpoint by endpoint (LoadStatsResponse)."""
    message = lrs_pb2.LoadStatsResponse(send_all_clusters=True, report_endpoint_granularity=True)
    message.load_reporting_interval.FromNanoseconds(int(interval_seconds * 1e9))
    content: bytes = message.SerializeToString()
    return content


def in_flight(content: bytes) -> dict[str, dict[str, int]]:
    """Read a LoadStatsRequest: requests in progress by cluster name and endpoint address, zeros left out."""
    report = lrs_pb2.LoadStatsRequest.FromString(content)
    load: dict[str, dict[str, int]] = {}
    for cluster in report.cluster_stats:
        addresses = load.setdefault(cluster.cluster_name, {})
        for locality in cluster.upstream_locality_stats:
            for endpoint in locality.upstream_endpoint_stats:
                if count := int(endpoint.total_requests_in_progress):
                    address = _address_text(endpoint.address)
                    addresses[address] = addresses.get(address, 0) + count
    return load


def _address_text(address: Any) -> str:
    if address.HasField("pipe"):
        return f"unix:{address.pipe.path}"
    return f"{address.socket_address.address}:{address.socket_address.port_value}"


class Stream(Generic[Heard, Said]):
    """One side of a bidirectional stream: read until it ends, write at any time."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def read(self) -> Heard | None:
        """Wait for the next message; None = the other side is done."""
        message = await self._call.read()
        return None if message is grpc.aio.EOF else message

    async def write(self, message: Said) -> None:
        """Send a message."""
        await self._call.write(message)


AdsServing = Callable[[Stream[Ask, Answer]], Awaitable[None]]
LrsServing = Callable[[Stream[bytes, bytes]], Awaitable[None]]


def make_server(socket: Path, ads: AdsServing, lrs: LrsServing) -> Server:
    """Make a grpc.aio server of ADS and LRS on a unix socket; `start` and `stop` are awaited."""
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers(
        (
            _method(_ADS, "StreamAggregatedResources", ads, _ask_from_bytes, _answer_to_bytes),
            _method(_LRS, "StreamLoadStats", lrs, None, None),
        )
    )
    server.add_insecure_port(f"unix:{socket}")
    made: Server = server
    return made


def _method(service: str, name: str, serve: Callable[[Any], Awaitable[None]], reads: Any, writes: Any) -> Any:
    async def handle(_requests: AsyncIterator[Any], context: Any) -> None:
        await serve(Stream(context))

    handler = grpc.stream_stream_rpc_method_handler(
        handle, request_deserializer=reads, response_serializer=writes
    )
    return grpc.method_handlers_generic_handler(service, {name: handler})


class ControlPlane:
    """A client's channel to a control plane on a unix socket."""

    def __init__(self, socket: Path) -> None:
        # The default authority of a unix target is its percent-encoded path, which some servers refuse.
        options = (*_OPTIONS, ("grpc.default_authority", "localhost"), ("grpc.enable_http_proxy", 0))
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=options)

    async def close(self) -> None:
        """End every stream."""
        await self._channel.close()

    def discover(self) -> Stream[Answer, Ask]:
        """Open an ADS stream; errors surface as `STREAM_ERRORS` from its first use."""
        call = self._channel.stream_stream(
            f"/{_ADS}/StreamAggregatedResources",
            request_serializer=_ask_to_bytes,
            response_deserializer=_answer_from_bytes,
        )
        return Stream(call())

    def report_load(self) -> Stream[bytes, bytes]:
        """Open an LRS stream of raw messages."""
        return Stream(self._channel.stream_stream(f"/{_LRS}/StreamLoadStats")())
