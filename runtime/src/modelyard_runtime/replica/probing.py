"""HTTP to the server on its unix socket: status, probe, warm-up, drain."""

from __future__ import annotations

import json
import socket
from http import HTTPStatus
from pathlib import Path
from typing import Any

from modelyard_runtime.contract import STATUS_PATH
from modelyard_runtime.pairing import BY_PYTHON, DRAIN_PATH
from modelyard_runtime.replica.lifecycle import Polled, WarmedUp

STATUS_TIMEOUT_S = 1.0
_SHOWN_CHARACTERS = 300
_CHUNK_BYTES = 65536
_JSON = "content-type: application/json"


def request(
    path: Path, method: str, target: str, body: bytes = b"", *, timeout_s: float, header: str = _JSON
) -> tuple[int, bytes] | None:
    """Ask the server; None where it does not answer."""
    head = (
        f"{method} {target} HTTP/1.1\r\nhost: replica\r\nconnection: close\r\n{header}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.sendall(head.encode("ascii") + body)
            return read_answer(_all(connection))
    except (OSError, ValueError):
        return None


def read_answer(raw: bytes) -> tuple[int, bytes]:
    """Read what one connection brought: a whole answer's status and body. Raises ValueError for less."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    if not separator:
        raise ValueError("the answer ends within its headers")
    lines = head.lower().split(b"\r\n")
    status = int(lines[0].split(b" ", 2)[1])
    if b"transfer-encoding: chunked" in lines:
        return status, b"".join(_chunks(body))
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), len(body))
    if len(body) != length:
        raise ValueError(f"{len(body)} bytes of {length} came")
    return status, body


def _chunks(body: bytes) -> list[bytes]:
    pieces: list[bytes] = []
    while True:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if not length:
            return pieces
        if len(rest) < length + 2:
            raise ValueError("a chunk was cut")
        pieces.append(rest[:length])
        body = rest[length + 2 :]


def _all(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(_CHUNK_BYTES):
        pieces.append(piece)
    return b"".join(pieces)


def poll(path: Path) -> Polled | None:
    """Ask for the server's status; None where it does not answer in time."""
    answer = request(path, "GET", STATUS_PATH, timeout_s=STATUS_TIMEOUT_S)
    if answer is None or answer[0] != HTTPStatus.OK:
        return None
    status: dict[str, Any] = json.loads(answer[1])
    return Polled(ready=bool(status["ready"]), in_flight=int(status["running"]) + int(status["queued"]))


def alive(path: Path, *, timeout_s: float) -> bool:
    """Probe liveness: Python itself, not the Envoy around it, answers `GET /` with 200."""
    answer = request(path, "GET", "/", timeout_s=timeout_s, header=f"{BY_PYTHON}: parent")
    return answer is not None and answer[0] == HTTPStatus.OK


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
    if status == HTTPStatus.OK:
        return WarmedUp(answer=text)
    shown = text.decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
    return WarmedUp(f"scoring the warm-up sample answered {status}: {shown}", _LOOK)


_LOOK = "try the sample on run(); the traceback is in the log"
