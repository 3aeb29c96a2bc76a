"""HTTP to the server on its unix socket: status, probe, warm-up, drain."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

from modelyard_runtime.contract import STATUS_PATH
from modelyard_runtime.local_http import request
from modelyard_runtime.pairing import BY_PYTHON, DRAIN_PATH
from modelyard_runtime.replica.lifecycle import Polled, WarmedUp

STATUS_TIMEOUT_S = 1.0
_SHOWN_CHARACTERS = 300


def poll(path: Path) -> Polled | None:
    """Ask for the server's status; None where it does not answer in time."""
    status = _status(path, STATUS_TIMEOUT_S)
    if status is None:
        return None
    return Polled(ready=bool(status["ready"]), in_flight=int(status["running"]) + int(status["queued"]))


def counts(path: Path, *, timeout_s: float) -> tuple[int, int] | None:
    """Ask how many requests run and how many wait; None where nothing sensible comes in time."""
    try:
        status = _status(path, timeout_s)
        return (int(status["running"]), int(status["queued"])) if status is not None else None
    except (ValueError, TypeError, KeyError):
        return None


def _status(path: Path, timeout_s: float) -> dict[str, Any] | None:
    answer = request(path, "GET", STATUS_PATH, timeout_s=timeout_s)
    if answer is None or answer[0] != HTTPStatus.OK:
        return None
    status: dict[str, Any] = json.loads(answer[1])
    return status


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
