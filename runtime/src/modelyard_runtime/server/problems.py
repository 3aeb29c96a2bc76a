"""What can become of a request besides an answer; each knows its HTTP status and its gRPC status."""

from __future__ import annotations

from typing import ClassVar

OK = 0
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14


class Problem(Exception):
    """A refusal or failure, told to the client as `{code, message, request_id}`."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "InternalError"
    grpc_status: ClassVar[int] = INTERNAL
    run_failed: ClassVar[bool] = False
    """v1's header x-ms-run-function-failed."""
    headers: ClassVar[tuple[tuple[bytes, bytes], ...]] = ()


class BadInput(Problem):
    """The request breaks a rule the client can read about."""

    status = 400
    code = "BadRequest"
    grpc_status = INVALID_ARGUMENT


class NotFound(Problem):
    """No such path or model."""

    status = 404
    code = "NotFound"
    grpc_status = NOT_FOUND


class MethodNotAllowed(Problem):
    """The path exists, the method does not."""

    status = 405
    code = "MethodNotAllowed"


class TooLarge(Problem):
    """The body passed the service's limit."""

    status = 413
    code = "PayloadTooLarge"
    grpc_status = RESOURCE_EXHAUSTED


class HeaderTooLarge(Problem):
    """A request id passed v1's limit of 100 characters."""

    status = 431
    code = "RequestHeaderTooLarge"
    grpc_status = INVALID_ARGUMENT


class ScoringFailed(Problem):
    """`run()` raised."""

    code = "ScoringFailed"
    run_failed = True


class ResultUnusable(Problem):
    """`run()` returned what cannot be sent."""

    code = "ResultUnusable"


class Unimplemented(Problem):
    """gRPC: no such method, or a compression this server does not speak."""

    status = 501
    code = "Unimplemented"
    grpc_status = UNIMPLEMENTED


class NotReady(Problem):
    """`init()` has not finished, or the replica is draining."""

    status = 503
    code = "NotReady"
    grpc_status = UNAVAILABLE
    headers = ((b"retry-after", b"1"),)


class Overloaded(Problem):
    """The queue is full, or a place in it was held too long."""

    status = 503
    code = "Overloaded"
    grpc_status = RESOURCE_EXHAUSTED
    headers = ((b"retry-after", b"1"),)


class ScoringTimeout(Problem):
    """The request's time is over; a `run()` under way keeps its slot until it returns."""

    status = 504
    code = "ScoringTimeout"
    grpc_status = DEADLINE_EXCEEDED
    run_failed = True


class Disconnected(Exception):
    """The client went away; nobody is left to be told."""
