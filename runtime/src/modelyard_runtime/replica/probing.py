"""HTTP to the server on its unix socket: status, probe, warm-up, drain."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from modelyard_runtime.contract import STATUS_PATH
from modelyard_runtime.pairing import DRAIN_PATH
from modelyard_runtime.replica.lifecycle import Polled, WarmedUp

STATUS_TIMEOUT_S = 1.0
_SHOWN_CHARACTERS = 300


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("replica", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def request(
    path: Path, method: str, target: str, body: bytes = b"", *, timeout_s: float
) -> tuple[int, bytes] | None:
    """Ask the server; None where it does not answer."""
    connection = _UnixConnection(path, timeout_s)
    try:
        connection.request(method, target, body or None, {"content-type": "application/json"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def poll(path: Path) -> Polled | None:
    """Ask for the server's status; None where it does not answer in time."""
    answer = request(path, "GET", STATUS_PATH, timeout_s=STATUS_TIMEOUT_S)
    if answer is None or answer[0] != http.client.OK:
        return None
    status: dict[str, Any] = json.loads(answer[1])
    return Polled(ready=bool(status["ready"]), in_flight=int(status["running"]) + int(status["queued"]))


def alive(path: Path, *, timeout_s: float) -> bool:
    """Probe liveness: `GET /` is 200."""
    answer = request(path, "GET", "/", timeout_s=timeout_s)
    return answer is not None and answer[0] == http.client.OK


def tell_drain(path: Path) -> bool:
    """Have the server refuse new requests from now on."""
    return request(path, "POST", DRAIN_PATH, timeout_s=STATUS_TIMEOUT_S) is not None


def warm_up(path: Path, sample: Path, *, timeout_s: float) -> WarmedUp:
    """Score the sample once."""
    try:
        body = sample.read_bytes()
    except OSError as error:
        return WarmedUp(f"the warm-up sample cannot be read: {error}", "check the sample's path")
    answer = request(path, "POST", "/score", body, timeout_s=timeout_s)
    if answer is None:
        return WarmedUp("the server went away, or gave no answer, while it scored the sample", _LOOK)
    status, text = answer
    if status == http.client.OK:
        return WarmedUp(answer=text)
    shown = text.decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
    return WarmedUp(f"scoring the warm-up sample answered {status}: {shown}", _LOOK)


_LOOK = "try the sample on run(); the traceback is in the log"
