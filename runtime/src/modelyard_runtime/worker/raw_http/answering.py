"""Make replies of the responses that scripts return: ours, Flask's, or any of werkzeug's."""

from __future__ import annotations

import sys
from typing import Any, Iterator

from ..explaining import raised
from ..failures import BadInput, ScriptRaised
from ..replies import HttpReply, Reply, StreamReply
from . import own

_SERVER_FAULT, _CLIENT_FAULT = 500, 400
_FAILED = (own.FAILED_HEADER.encode(), b"True")


def is_response(result: Any) -> bool:
    """Say whether a script returned an HTTP answer."""
    if isinstance(result, own.AMLResponse):
        return True
    werkzeug: Any = sys.modules.get("werkzeug.wrappers")
    return werkzeug is not None and isinstance(result, werkzeug.Response)


def reply_of(response: Any, elapsed_ms: float) -> Reply:
    """Return the reply that says what a response says. A status of 500 and up means that `run()` failed."""
    pairs = response.headers if isinstance(response.headers, list) else response.headers.items()
    headers, failed = [], response.status_code >= _SERVER_FAULT
    for name, value in pairs:
        failed = failed or (name.lower() == own.FAILED_HEADER and value.lower() == "true")
        headers.append((name.lower().encode("latin-1"), value.encode("utf-8")))
    if response.is_streamed:
        if failed:
            headers = [pair for pair in headers if pair[0] != _FAILED[0]] + [_FAILED]
        return StreamReply(response.status_code, headers, elapsed_ms, _Pieces(response))
    body = b"".join(response.iter_encoded())
    response.close()
    return HttpReply(response.status_code, headers, body, failed, elapsed_ms)


def result_of(response: Any) -> bytes:
    """Return the body for one who asked for tensors. Raises what the status says."""
    body = b"".join(response.iter_encoded())
    response.close()
    if response.status_code >= _SERVER_FAULT:
        raise ScriptRaised(f"run() answered with status {response.status_code}")
    if response.status_code >= _CLIENT_FAULT:
        raise BadInput(
            body.decode("utf-8", "replace") or f"run() answered with status {response.status_code}"
        )
    return body


class _Pieces(Iterator[bytes]):
    """The pieces of a streamed response; closing them closes the response."""

    def __init__(self, response: Any) -> None:
        self._pieces: Iterator[bytes] = iter(response.iter_encoded())
        self._response = response

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except StopIteration:
            raise
        except BaseException as error:  # the user's code may raise anything
            raise raised(error, "the stream") from error

    def close(self) -> None:
        """Close the response and what its pieces come from."""
        self._response.close()
