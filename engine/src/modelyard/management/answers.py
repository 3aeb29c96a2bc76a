"""Answers: values through the one converter, errors as `{code, message, place, remedy, details}`.

What was not raised on purpose is logged whole and told in one sentence: no traceback leaves here.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap, Serializer

from modelyard.api import ModelyardError
from modelyard.client import failures, wire
from modelyard.telemetry import get_logger

JSON = "application/json"
RETRY_AFTER_SECONDS = 1
_INTERNAL = 500
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}

_log = get_logger("modelyard.management")


class WireResponse(Response[Any]):
    """A response whose content is an api value."""

    def render(self, content: Any, media_type: str, enc_hook: Serializer | None = None) -> bytes:
        """Write the value as JSON; bytes pass as they are."""
        if isinstance(content, bytes) or media_type != JSON:
            return super().render(content, media_type, *([enc_hook] if enc_hook else []))
        return wire.dump(content)


def on_expected(_request: Request[Any, Any, Any], error: ModelyardError) -> Response[bytes]:
    """Answer with an error raised on purpose."""
    status = failures.status_of(error)
    headers = {"retry-after": str(RETRY_AFTER_SECONDS)} if error.retryable else {}
    return _error(status, failures.error_to_raw(error), headers=headers)


def on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer for what the framework itself refuses: no such path, wrong method, not JSON."""
    if error.status_code >= _INTERNAL:
        return on_unexpected(request, error)
    raw = {
        "code": _CODES.get(error.status_code, "bad_request"),
        "message": error.detail,
        "place": f"{request.method} {request.url.path}",
        "remedy": "see the OpenAPI document under /schema",
        "details": [],
    }
    return _error(error.status_code, raw)


def on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer for a fault of ours."""
    place = f"{request.method} {request.url.path}"
    _log.error("request failed", place=place, exc_info=error)
    raw = {
        "code": "internal",
        "message": f"the engine failed over this request: {type(error).__name__}",
        "place": place,
        "remedy": "controller.log has the whole story; please report it",
        "details": [],
    }
    return _error(_INTERNAL, raw)


HANDLERS: ExceptionHandlersMap = {
    ModelyardError: on_expected,
    HTTPException: on_http,
    Exception: on_unexpected,
}


def _error(status: int, raw: dict[str, Any], *, headers: dict[str, str] | None = None) -> Response[bytes]:
    return Response(wire.dump(raw), status_code=status, media_type=JSON, headers=headers)
