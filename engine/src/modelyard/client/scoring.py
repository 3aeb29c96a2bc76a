"""Scoring through the router, over HTTP and over gRPC.

Endpoints and keys are asked of the controller once and asked again when the router no longer
takes them; the controller is not on the request path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from modelyard.api import NotFound, Secret, SystemError_, Unavailable, UserError
from modelyard.client.tensors import Tensor

if TYPE_CHECKING:
    import grpc
    import httpx

    from modelyard.client.tensors import TensorLike

INFER_METHOD = "/inference.GRPCInferenceService/ModelInfer"
SERVICE_HEADER = "modelyard-service"
TIMEOUT_SECONDS = 330.0
"""Above the longest timeout a service may have: the router decides, not the client."""
_UNAUTHORIZED = 401
_NOT_FOUND = 404


@attrs.frozen
class ScoreAnswer:
    """What the service answered; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@attrs.frozen
class InferAnswer:
    """The output tensors by name."""

    model: str
    outputs: Mapping[str, Tensor]


@attrs.frozen
class Endpoint:
    """Where a service answers, and its primary key."""

    name: str
    url: str
    grpc_url: str
    key: Secret | None


class Scorer:
    """Remembers endpoints and connections; `find` asks the controller for one endpoint."""

    def __init__(self, find: Callable[[str], Endpoint]) -> None:
        self._find = find
        self._known: dict[str, Endpoint] = {}
        self._http: httpx.Client | None = None
        self._channels: dict[str, grpc.Channel] = {}

    def score(self, name: str, body: bytes, *, content_type: str, key: Secret | None) -> ScoreAnswer:
        """POST `body`; any status is an answer."""
        known = name in self._known
        answer = self._post(self._endpoint(name), body, content_type, key)
        if known and answer.status in {_UNAUTHORIZED, _NOT_FOUND}:  # rotated, or deployed anew, meanwhile
            del self._known[name]
            answer = self._post(self._endpoint(name), body, content_type, key)
        return answer

    def infer(
        self,
        name: str,
        inputs: Mapping[str, TensorLike],
        *,
        model: str,
        key: Secret | None,
        timeout_seconds: float,
    ) -> InferAnswer:
        """Send tensors; raises the api error that fits the gRPC status."""
        import grpc

        from modelyard.client import inference

        content = inference.encode(model, inputs)
        known = name in self._known
        try:
            reply = self._call(self._endpoint(name), content, key, timeout_seconds)
        except grpc.RpcError as error:
            if not known or error.code() not in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.NOT_FOUND}:
                raise _failure(error, name) from error
            del self._known[name]
            try:
                reply = self._call(self._endpoint(name), content, key, timeout_seconds)
            except grpc.RpcError as again:
                raise _failure(again, name) from again
        served, outputs = inference.decode(reply)
        return InferAnswer(model=served, outputs=outputs)

    def close(self) -> None:
        """Give all connections back."""
        if self._http is not None:
            self._http.close()
            self._http = None
        while self._channels:
            self._channels.popitem()[1].close()
        self._known.clear()

    def _endpoint(self, name: str) -> Endpoint:
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def _post(self, endpoint: Endpoint, body: bytes, content_type: str, key: Secret | None) -> ScoreAnswer:
        import httpx

        if self._http is None:
            self._http = httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False)
        headers = {"content-type": content_type, **_authorization(key or endpoint.key)}
        try:
            answer = self._http.post(endpoint.url, content=body, headers=headers)
        except httpx.TransportError as error:
            raise Unavailable(
                f"the router does not answer: {error}",
                place=endpoint.url,
                remedy="run `engine doctor`; router.log tells why",
            ) from error
        return ScoreAnswer(status=answer.status_code, headers=dict(answer.headers), body=answer.content)

    def _call(self, endpoint: Endpoint, content: bytes, key: Secret | None, timeout_seconds: float) -> bytes:
        metadata = ((SERVICE_HEADER, endpoint.name), *_authorization(key or endpoint.key).items())
        call = self._channel(endpoint.grpc_url).unary_unary(INFER_METHOD)
        reply: bytes = call(content, timeout=timeout_seconds, metadata=metadata)
        return reply

    def _channel(self, url: str) -> grpc.Channel:
        import grpc

        address = urlsplit(url).netloc if "://" in url else url
        if address not in self._channels:
            options = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
            self._channels[address] = grpc.insecure_channel(address, options=options)
        return self._channels[address]


def _authorization(key: Secret | None) -> dict[str, str]:
    return {} if key is None else {"authorization": f"Bearer {key.reveal()}"}


def _failure(error: grpc.RpcError, name: str) -> UserError | SystemError_:
    import grpc

    code, said = error.code(), error.details() or error.code().name
    place = f"service {name} over gRPC"
    if code is grpc.StatusCode.NOT_FOUND or code is grpc.StatusCode.UNIMPLEMENTED:
        return NotFound(said, place=place, remedy="look at `engine list` for services and their models")
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return UserError(said, place=place, remedy="mend the tensors: names, datatypes and shapes")
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return UserError(said, place=place, remedy="pass a valid key: `engine keys`")
    if code in {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }:
        return Unavailable(said, place=place, remedy="try again; `engine show` tells how it fares")
    return SystemError_(said, place=place, remedy="look into `engine logs`")
