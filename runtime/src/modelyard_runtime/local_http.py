"""One question over HTTP/1.1 and a Unix socket: how a parent asks its server, and a server the Envoy around it.

Written here because `http.client` takes longer to import than a start has to spare.
"""

from __future__ import annotations

import socket
from pathlib import Path

_CHUNK_BYTES = 65536
_JSON = "content-type: application/json"


def request(
    path: Path, method: str, target: str, body: bytes = b"", *, timeout_s: float, header: str = _JSON
) -> tuple[int, bytes] | None:
    """Ask whoever listens at `path`; status and body, or None where it does not answer."""
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
