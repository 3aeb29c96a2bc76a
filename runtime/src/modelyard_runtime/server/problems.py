"""What can become of a request besides an answer; each knows its HTTP status and its gRPC status."""

from __future__ import annotations

from typing import ClassVar

from modelyard_runtime.scoring.refusals import (
    Interrupted,
    Left,
    Overloaded,
    TimedOut,
    Unknown,
    Unloadable,
    Unready,
)
from modelyard_runtime.worker import failures

OK = 0
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14

RUN_RAISED = "An unexpected error occurred in scoring script. Check the logs for more info."
"""v1's sentence; the traceback is in the log only, since it may show data."""


UNEXPECTED = "An unexpected internal error occurred. Check the logs for more info."
"""v1's sentence for what was not the script's fault."""

NO_SUCH_METHOD = "The method is not allowed for the requested URL."


class Problem(Exception):
    """A refusal or failure, told to the client as `{code, message, request_id}`.

    `place` says where in the request (`data[0][3]`); `retry_after_s` of 0 = no Retry-After.
    """

    status: int = 500
    code: ClassVar[str] = "InternalError"
    grpc_status: ClassVar[int] = INTERNAL
    run_failed: bool = False
    """v1's header x-ms-run-function-failed."""
    retry_after_s: int = 0

    def __init__(self, message: str, *, place: str = "") -> None:
        super().__init__(message)
        self.place = place


class BadInput(Problem):
    """The request breaks a rule the client can read about."""

    status = 400
    code = "BadRequest"
    grpc_status = INVALID_ARGUMENT


class UnsupportedMediaType(Problem):
    """The body is of a kind the script does not take."""

    status = 415
    code = "UnsupportedMediaType"
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
    grpc_status = UNIMPLEMENTED


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


class RunTimedOut(ScoringFailed):
    """`run()` raised a TimeoutError of its own, in a service that is strict about v1."""


class RunLeft(ScoringFailed):
    """`run()` called `sys.exit`, in a service that is strict about v1."""


class ResultUnusable(Problem):
    """`run()` returned what cannot be sent."""

    code = "ResultUnusable"
    run_failed = True


class Unimplemented(Problem):
    """No such method, or a way of speaking that this server does not know."""

    status = 501
    code = "Unimplemented"
    grpc_status = UNIMPLEMENTED


class NotReady(Problem):
    """`init()` has not finished, or the replica is draining."""

    status = 503
    code = "NotReady"
    grpc_status = UNAVAILABLE
    retry_after_s = 1


class WorkerEnded(Problem):
    """The request's worker was ended for what another request did."""

    status = 503
    code = "WorkerEnded"
    grpc_status = UNAVAILABLE
    retry_after_s = 1


class ModelFailed(Problem):
    """A model that is loaded when it is asked for could not be."""

    status = 503
    code = "ModelFailed"
    grpc_status = UNAVAILABLE


class Busy(Problem):
    """The queue is full, or a place in it was held too long."""

    status = 503
    code = "Overloaded"
    grpc_status = RESOURCE_EXHAUSTED


class ScoringTimeout(Problem):
    """The request's time is over."""

    status = 504
    code = "ScoringTimeout"
    grpc_status = DEADLINE_EXCEEDED


class Disconnected(Exception):
    """The client went away; nobody is left to be told."""


def problem_of(error: Exception) -> Problem:  # noqa: C901, PLR0911  # one return a kind: a table, read downwards
    """Say what the client is told about a failure of the script or a refusal of the pool.

    Raises `Disconnected` where nobody is left to be told.
    """
    match error:
        case Problem():
            return error
        case failures.BadInput():
            kind = UnsupportedMediaType if error.status == UnsupportedMediaType.status else BadInput
            return kind(str(error), place=error.place)
        case failures.ResultUnusable():
            return ResultUnusable(str(error))
        case Overloaded():
            return _later(Busy(str(error)), error.retry_after_s)
        case TimedOut():
            late = ScoringTimeout(str(error))
            late.run_failed = error.begun
            return late
        case Unready():
            return NotReady(str(error))
        case Interrupted():
            return WorkerEnded(str(error))
        case Unknown():
            return NotFound(str(error))
        case Unloadable():
            return _later(ModelFailed(str(error)), error.retry_after_s)
        case Left():
            raise Disconnected from error
    failed, said = _STRICT.get(type(error), (ScoringFailed, RUN_RAISED))
    return failed(said)


_STRICT: dict[type[Exception], tuple[type[Problem], str]] = {
    failures.InputBroke: (Problem, UNEXPECTED),
    failures.RunTimedOut: (RunTimedOut, RUN_RAISED),
    failures.RunLeft: (RunLeft, RUN_RAISED),
}
"""What only scripts of services that are strict about v1 fail with."""


def _later(problem: Problem, retry_after_s: int) -> Problem:
    problem.retry_after_s = retry_after_s
    return problem
