"""What the router is told, and what it tells: frozen values without a word about Envoy."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from modelyard.api import AuthPolicy, UserError

DEFAULT_NAMESPACE = "default"
"""It owns the short path `/api/v1/service/<name>`."""
STREAM_IDLE_SECONDS = 3600.0
PING_SECONDS, PONG_SECONDS = 60.0, 20.0
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _check_name(_instance: object, field: attrs.Attribute[str], value: str) -> None:
    if not _NAME.fullmatch(value):
        raise UserError(
            f"{value!r} cannot be a {field.name} of a route",
            remedy="use letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        )


def _check_address(_instance: object, _field: attrs.Attribute[str], value: str) -> None:
    host, colon, port = value.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536  # noqa: PLR2004 all ports there are
    if not (value.startswith("unix:/") or (host and colon and is_port)):
        raise UserError(f"{value!r} is no address of a replica", remedy="use unix:/path or host:port")


def _check_auth(_instance: object, _field: attrs.Attribute[AuthPolicy], value: AuthPolicy) -> None:
    if any(not _DIGEST.fullmatch(digest) for digest in value.digests):
        raise UserError(
            "an auth policy holds something that is not a SHA-256 digest",
            remedy="compile the policy with the service's authenticator; clear keys never reach the router",
        )


@attrs.frozen
class Endpoint:
    """One replica's address: `unix:/path` or `host:port`. A draining one gets no new requests."""

    replica: str
    address: str = attrs.field(validator=_check_address)
    draining: bool = False


@attrs.frozen
class RoutedService:
    """One service as the router sees it. `max_concurrent` and `max_pending` are per replica.

    `default` marks the service that gRPC and bare `/v2` requests without a service name go to; where
    no service is marked and there is exactly one, it is that one.
    """

    name: str = attrs.field(validator=_check_name)
    auth: AuthPolicy = attrs.field(validator=_check_auth)
    timeout_seconds: float = attrs.field(validator=attrs.validators.gt(0))
    max_body_bytes: int = attrs.field(validator=attrs.validators.ge(0))
    max_concurrent: int = attrs.field(validator=attrs.validators.ge(1))
    max_pending: int = attrs.field(validator=attrs.validators.ge(0))
    endpoints: tuple[Endpoint, ...] = ()
    default: bool = False
    cors: tuple[str, ...] = ()
    """Origins whose pages may call, `*` = any: preflights pass without a key, the router's errors can be read."""
    stream_idle_seconds: float = attrs.field(default=STREAM_IDLE_SECONDS, validator=attrs.validators.gt(0))
    """How long a gRPC stream may be silent: watching or waiting for the next message is its normal state."""
    namespace: str = attrs.field(default=DEFAULT_NAMESPACE, validator=_check_name)


@attrs.frozen
class RouterState:
    """Everything the router is to know, complete."""

    listen_address: str
    listen_port: int
    services: tuple[RoutedService, ...] = ()
    ping_seconds: float = attrs.field(default=PING_SECONDS, validator=attrs.validators.gt(0))
    """How often a caller over HTTP/2 is asked whether it is still there."""
    pong_seconds: float = attrs.field(default=PONG_SECONDS, validator=attrs.validators.gt(0))
    """How long it may take to say so before its streams are ended."""


@attrs.frozen
class LoadReport:
    """Requests in flight, summed over all routers; an address that is absent has none.

    Services are named as `qualified_name` does. `at_s` is the monotonic clock when it arrived.
    """

    at_s: float
    in_flight: Mapping[str, Mapping[str, int]]


@attrs.frozen
class XdsStatus:
    """The control plane's view: routers connected, last version all of them took, the NACK that stands."""

    connected: bool
    version: str = ""
    nack: str = ""


def qualified_name(service: RoutedService) -> str:
    """Name a service for reports: its plain name in the default namespace, else `<namespace>/<name>`."""
    return in_namespace(service.namespace, service.name)


def in_namespace(namespace: str, name: str) -> str:
    """Join as `qualified_name` does."""
    return name if namespace == DEFAULT_NAMESPACE else f"{namespace}/{name}"
