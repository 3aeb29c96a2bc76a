"""Whether the replica of this container is well: the command that the container's own health check runs.

Asks the parent's status port. Quick to load: it runs every few seconds, beside what serves.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping

from modelyard_runtime.contract import (
    REPLICA_PATH,
    START_VARIABLE,
    ContractError,
    ReplicaStatus,
    StartContract,
    decode_contract,
    read_status,
)
from modelyard_runtime.local_http import read_answer

TIME_LIMIT_S = 2.0
MAX_ANSWER_BYTES = 1 << 20
_SLACK_S = 5.0
"""The parent notices at its own pace that a start takes too long."""
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not listened on
_OK = 200


class Unwell(Exception):
    """Why it is not; `str()` is one line."""


def check(environ: Mapping[str, str] = os.environ) -> int:
    """Return 0 for a replica that serves, drains, or starts within its time; else 1, with a line that says why."""
    try:
        contract = decode_contract(environ.get(START_VARIABLE, ""))
        reason = why_unwell(_asked(contract), startup_timeout_s=contract.startup_timeout_s, now=time.time())
    except (ContractError, Unwell) as error:
        reason = str(error)
    if reason:
        sys.stdout.write(" ".join(reason.split()) + "\n")
    return 1 if reason else 0


def why_unwell(status: ReplicaStatus, *, startup_timeout_s: float, now: float) -> str:
    """Return why a replica in this state is not well; "" where it is. Times are seconds since the epoch."""
    if status.phase in ("ready", "draining"):
        return ""
    if status.phase == "starting":
        spent_s = now - status.phase_at
        late = spent_s > startup_timeout_s + _SLACK_S
        return f"starting for {spent_s:.0f} s, {startup_timeout_s:g} s are allowed" if late else ""
    return f"{status.phase}: {status.cause}" if status.cause else status.phase


def _asked(contract: StartContract) -> ReplicaStatus:
    if not contract.status_port:
        raise Unwell("the start contract names no status_port to ask")
    address = (_ANYWHERE.get(contract.host, contract.host), contract.status_port)
    try:
        status, body = read_answer(_exchange(address))
    except (OSError, ValueError) as error:
        raise Unwell(
            f"the replica's parent does not answer on port {contract.status_port}: {error}"
        ) from error
    if status != _OK:
        raise Unwell(f"port {contract.status_port} answers {status}: it is not the replica's parent")
    return read_status(body)


def _exchange(address: tuple[str, int]) -> bytes:
    ends_s = time.monotonic() + TIME_LIMIT_S
    received = b""
    with socket.create_connection(address, timeout=TIME_LIMIT_S) as connection:
        connection.sendall(f"GET {REPLICA_PATH} HTTP/1.1\r\nhost: replica\r\n\r\n".encode())
        while piece := connection.recv(65536):
            received += piece
            if len(received) > MAX_ANSWER_BYTES:
                raise ValueError("the answer is too long")
            connection.settimeout(max(ends_s - time.monotonic(), 0.001))
    return received
