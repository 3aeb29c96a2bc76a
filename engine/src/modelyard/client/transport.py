"""HTTP over the controller's unix socket: requests out, values or the raised error back.

A stream is JSON lines: `{"value": ...}`, at its end perhaps `{"error": ...}`; an empty line only says
that the other side lives.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from modelyard.api import ModelyardError, SystemError_, Unavailable
from modelyard.client import failures, wire

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

STREAM_SILENCE_SECONDS = 30.0
"""A stream says something every second; after this long without a word the controller hangs."""

_ERROR_STATUS = 400


class Transport:
    """One connection pool to one controller; opened with the first request."""

    def __init__(self, path: Path, *, timeout_seconds: float) -> None:
        self._path = path
        self._timeout_seconds = timeout_seconds
        self._http: httpx.Client | None = None

    def ask(
        self,
        kind: type[T],
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, str] | None = None,
    ) -> T:
        """Send one request and build the answer; raises what the controller raised."""
        content = None if body is None else wire.dump(body)
        with self._translated():
            answer = self._open().request(method, path, content=content, params=params)
        self._raise_for(answer.status_code, answer.content)
        with _understood(path):
            return wire.load(kind, answer.content or b"null")

    def stream(
        self,
        kind: type[T],
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        method: str = "GET",
        body: object = None,
    ) -> Iterator[T | None]:
        """Yield the values of a stream as they come, None for each sign of life between them."""
        import httpx

        content = None if body is None else wire.dump(body)
        patience = httpx.Timeout(self._timeout_seconds, read=STREAM_SILENCE_SECONDS)
        with (
            self._translated(),
            self._open().stream(method, path, params=params, content=content, timeout=patience) as answer,
        ):
            if answer.status_code >= _ERROR_STATUS:
                self._raise_for(answer.status_code, answer.read())
            for line in answer.iter_lines():
                yield _stream_value(kind, line, path) if line else None

    def close(self) -> None:
        """Give the connections back."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _open(self) -> httpx.Client:
        import httpx

        self._knock()
        if self._http is None:
            self._http = httpx.Client(
                transport=httpx.HTTPTransport(uds=str(self._path)),
                base_url="http://modelyard",
                timeout=self._timeout_seconds,
                headers={"content-type": "application/json"},
                trust_env=False,  # a proxy has no business on a unix socket
            )
        return self._http

    def _knock(self) -> None:
        """Fail early and cleanly where nobody listens: httpx would leave its socket open behind it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(self._timeout_seconds)
            try:
                door.connect(str(self._path))
            except OSError as error:
                raise not_running(self._path) from error

    def _raise_for(self, status: int, content: bytes) -> None:
        if status < _ERROR_STATUS:
            return
        try:
            raw = json.loads(content)
        except ValueError:
            raw = content.decode(errors="replace")
        raise failures.error_from_raw(raw, status=status)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            self.close()
            raise not_running(self._path) from error
        except httpx.TimeoutException as error:
            raise Unavailable(
                "the engine did not answer in time",
                place=str(self._path),
                remedy="try again; `engine logs` and controller.log tell what it does",
            ) from error
        except httpx.TransportError as error:
            raise Unavailable(
                f"the engine broke off its answer: {error}",
                place=str(self._path),
                remedy="run `engine up`: what was under way is taken up again",
            ) from error


def not_running(path: Path) -> Unavailable:
    """Give the error of an engine nobody started."""
    return Unavailable("the engine is not running", place=str(path), remedy="engine up")


def _stream_value(kind: type[T], line: str, path: str) -> T:
    try:
        raw: Any = json.loads(line)
    except ValueError as error:
        raise _nonsense(path, str(error)) from error
    if not isinstance(raw, dict) or not raw.keys() & {"value", "error"}:
        raise _nonsense(path, f"not a line of a stream: {line:.80}")
    if "error" in raw:
        raise failures.error_from_raw(raw["error"])
    with _understood(path):
        return wire.from_raw(kind, raw["value"])


@contextlib.contextmanager
def _understood(path: str) -> Iterator[None]:
    try:
        yield
    except wire.WireError as error:
        raise _nonsense(path, str(error)) from error


def _nonsense(path: str, reason: str) -> ModelyardError:
    return SystemError_(
        f"the engine's answer makes no sense to this client: {reason}",
        place=path,
        remedy="run the same release on both sides: `engine down`, then `engine up`",
    )
