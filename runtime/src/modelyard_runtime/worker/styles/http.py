"""`@rawhttp`: `run()` gets the HTTP request itself and may answer with a response of its own."""

from __future__ import annotations

from typing import Any

from .. import nested
from ..explaining import raised
from ..failures import BadInput, Failure
from ..raw_http import own, with_flask
from ..requests import InferRequest, Request, ScoreRequest
from ..runs import Reader


class OwnHttpReader(Reader):
    """Hands over our own request class."""

    lone = "its run() is decorated with @rawhttp"

    def of_score(self, request: ScoreRequest) -> Any:
        """Return the request as the script sees it."""
        return own.AMLRequest(request)

    def of_tensors(self, request: InferRequest) -> Any:
        """Return the tensors as a POST of JSON."""
        return self.of_score(as_post(request))

    def failure_of(self, error: BaseException, request: Request) -> Failure:  # noqa: ARG002  # the border
        """Let our request's own refusals through: the client sent no JSON, for example."""
        return error if isinstance(error, BadInput) else raised(error, "run()")


class FlaskHttpReader(OwnHttpReader):
    """Hands over Flask's request, which the context around `run()` makes."""

    def of_score(self, request: ScoreRequest) -> Any:  # noqa: ARG002  # the border
        """Return a stand-in: `run()` is called with the context's own request."""
        return None

    def failure_of(self, error: BaseException, request: Request) -> Failure:  # the border
        """Flask's own refusals of a request are the client's fault."""
        code = getattr(error, "code", None)
        if type(error).__module__ == "werkzeug.exceptions" and type(code) is int and 400 <= code < 500:  # noqa: PLR2004  # HTTP
            return BadInput(str(getattr(error, "description", error)), status=code)
        return super().failure_of(error, request)


def with_current(call: Any) -> Any:
    """Return `call` with Flask's current request for its value."""
    return lambda _, headers: call(with_flask.current(), headers)


def with_proxy(call: Any) -> Any:
    """Return `call` with what v1 gave a script: Flask's stand-in for the current request."""
    proxy = with_flask.proxy()
    return lambda _, headers: call(proxy, headers)


def as_post(request: Request) -> ScoreRequest:
    """Return tensors as the POST to `/score` that would have carried them as JSON."""
    if isinstance(request, ScoreRequest):
        return request
    body = nested.as_text(request.inputs).encode()
    kept = [pair for pair in request.headers if pair[0] not in (b"content-type", b"content-length")]
    return ScoreRequest("POST", "/score", b"", [*kept, (b"content-type", b"application/json")], body)
