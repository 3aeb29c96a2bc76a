"""Errors on the wire: `{code, message, place, remedy, details}`, and back to the class that was raised.

A traceback never travels. The HTTP status is derived here, so that both sides agree on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.api import (
    Conflict,
    DeployFailed,
    EnvironmentUnsolvable,
    ImageUnbuildable,
    ImageUntrusted,
    ModelyardError,
    NotFound,
    Operation,
    OperationState,
    PluginFailed,
    Refusal,
    Refused,
    SnapshotError,
    SpecError,
    StoreDamaged,
    SystemError_,
    Unavailable,
    UserError,
)

CANCELLED = "cancelled"

_BY_CODE: Mapping[str, type[ModelyardError]] = {
    kind.code: kind
    for kind in (
        UserError,
        SystemError_,
        SpecError,
        SnapshotError,
        EnvironmentUnsolvable,
        ImageUnbuildable,
        ImageUntrusted,
        Refused,
        NotFound,
        Conflict,
        Unavailable,
        DeployFailed,
        StoreDamaged,
        PluginFailed,
    )
}

_STATUS: tuple[tuple[type[ModelyardError], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (SpecError, 422),
    (SnapshotError, 422),
    (EnvironmentUnsolvable, 422),
    (ImageUnbuildable, 422),
    (ImageUntrusted, 422),
    (Refused, 422),
    (UserError, 400),
    (Unavailable, 503),
)


def status_of(error: ModelyardError) -> int:
    """Give the HTTP status of an error, by its class."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def error_to_raw(error: ModelyardError) -> dict[str, Any]:
    """Turn an error into its JSON form."""
    details = error.details()
    if isinstance(error, PluginFailed):
        details = [{"plugin": error.plugin, "moment": error.moment, "reason": error.reason}]
    return {
        "code": error.code,
        "message": error.message,
        "place": error.place,
        "remedy": error.remedy,
        "details": details,
    }


def error_from_raw(raw: object, *, status: int = 500) -> ModelyardError:
    """Build the error again; a code this release does not know keeps its side of the tree by `status`."""
    fields = raw if isinstance(raw, Mapping) else {"message": f"an answer without sense: {raw!r:.200}"}
    details = fields.get("details")
    return _revive(
        str(fields.get("code") or ""),
        str(fields.get("message") or "the engine gave no reason"),
        place=str(fields.get("place") or ""),
        remedy=str(fields.get("remedy") or ""),
        details=[dict(d) for d in details if isinstance(d, Mapping)] if isinstance(details, list) else [],
        otherwise=UserError if status < 500 else SystemError_,  # noqa: PLR2004  the HTTP border
    )


def error_of(operation: Operation) -> ModelyardError | None:
    """Give the error an operation ended with; None when it runs or succeeded."""
    if operation.state is OperationState.CANCELLED:
        return _revive(
            CANCELLED,
            operation.error or f"the {operation.kind.value} of {operation.service!r} was cancelled",
            place=operation.place or f"operation {operation.id}",
            remedy=operation.remedy or "run the command again when you want it done",
            details=[],
            otherwise=UserError,
        )
    if operation.state is not OperationState.FAILED:
        return None
    return _revive(
        operation.error_code or DeployFailed.code,
        operation.error or f"the {operation.kind.value} of {operation.service!r} failed",
        place=operation.place or f"operation {operation.id}",
        remedy=operation.remedy,
        details=[],
        otherwise=DeployFailed,
    )


def _revive(
    code: str,
    message: str,
    *,
    place: str,
    remedy: str,
    details: list[dict[str, Any]],
    otherwise: type[ModelyardError],
) -> ModelyardError:
    kind = _BY_CODE.get(code, otherwise)
    # Past the constructors: three of them word the message themselves, and it is worded already.
    error = kind.__new__(kind, message)
    ModelyardError.__init__(error, message, place=place, remedy=remedy)
    if code and code != kind.code:
        error.code = code
    if isinstance(error, SpecError):
        error.findings = details
    elif isinstance(error, Refused):
        error.refusals = tuple(_refusal(detail) for detail in details)
    elif isinstance(error, PluginFailed):
        first = details[0] if details else {}
        error.plugin, error.moment = str(first.get("plugin", "")), str(first.get("moment", ""))
        error.reason = str(first.get("reason", message))
    return error


def _refusal(detail: Mapping[str, Any]) -> Refusal:
    numbers = detail.get("numbers")
    return Refusal(
        plugin=str(detail.get("plugin", "")),
        code=str(detail.get("code", "")),
        message=str(detail.get("message", "")),
        remedy=str(detail.get("remedy", "")),
        numbers=dict(numbers) if isinstance(numbers, Mapping) else {},
    )
