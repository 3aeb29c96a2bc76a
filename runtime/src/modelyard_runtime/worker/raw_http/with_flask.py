"""Requests and responses on the user's own Flask, so that `isinstance(x, flask.Request)` holds as in v1."""

from __future__ import annotations

import io
import json
import sys
from typing import Any, Callable, ContextManager, Mapping

from ..requests import ScoreRequest


def environ_of(request: ScoreRequest) -> dict[str, Any]:
    """Return a request as a WSGI environment."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path.encode("utf-8", "surrogatepass").decode("latin-1"),
        "QUERY_STRING": request.query.decode("latin-1"),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw, value in request.headers:
        name, text = raw.decode("latin-1").upper().replace("-", "_"), value.decode("latin-1")
        if name == "CONTENT_TYPE":
            environ[name] = text
        elif name not in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
            key = "HTTP_" + name
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    if request.body or request.method == "POST":
        environ["CONTENT_LENGTH"] = str(len(request.body))
    return environ


def contexts() -> Callable[[ScoreRequest], ContextManager[Any]]:
    """Return what puts a request where Flask's own names (`request`, `jsonify`) find it."""
    import flask

    app = flask.Flask("modelyard")
    return lambda request: app.request_context(environ_of(request))


def current() -> Any:
    """Return the request of the context this thread is in."""
    import flask

    request: Any = flask.request
    return request._get_current_object()  # noqa: SLF001  # Flask's documented way to the object itself


def proxy() -> Any:
    """Return Flask's stand-in for the request of whichever context asks it."""
    import flask

    return flask.request


def request_class() -> Any:
    """Return what `AMLRequest` is."""
    import flask

    return flask.Request


def request_class_as_v1() -> Any:
    """Return v1's `AMLRequest`: a class of which no request ever was, and none can be made."""
    import flask

    class AMLRequest(flask.Request):
        """The name that v1's scripts import."""

        def __init__(self) -> None:
            super().__init__()  # type: ignore[call-arg]  # v1's own mistake

    return AMLRequest


def response_class() -> Any:
    """Return v1's `AMLResponse` made on Flask's response."""
    import flask

    class AMLResponse(flask.Response):
        """An HTTP answer, as v1's scripts make it."""

        def __init__(
            self,
            message: Any,
            status_code: Any,
            response_headers: Mapping[str, str] = {},
            json_str: bool = False,  # noqa: FBT001, FBT002  # v1's signature
            run_function_failed: bool = False,  # noqa: FBT001, FBT002  # the same
        ) -> None:
            if json_str or message is None:
                text = json.dumps({} if message is None else message)
                super().__init__(text, status=status_code, mimetype="application/json")
            else:
                super().__init__(message, status=status_code)
                if "Content-Type" in response_headers:
                    self.headers.remove("Content-Type")
            self.headers["x-ms-run-function-failed"] = str(run_function_failed)
            for name, value in response_headers.items():
                for part in value.split(","):
                    self.headers.add(name, part.strip())

    return AMLResponse
