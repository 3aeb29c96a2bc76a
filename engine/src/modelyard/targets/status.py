"""Ask a replica over its own socket how many requests it has."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import socket
from pathlib import Path
from typing import cast

from modelyard_runtime.contract import STATUS_PATH

TIMEOUT_SECONDS = 0.5
_ANSWER_LIMIT_BYTES = 65_536
_REQUEST = f"GET {STATUS_PATH} HTTP/1.1\r\nHost: replica\r\nConnection: close\r\n\r\n".encode()


class NoAnswer(Exception):
    """Something listens but did not say a sensible thing in time: what it runs is not known."""


async def in_flight(listener: Path, *, timeout_seconds: float = TIMEOUT_SECONDS) -> int:
    """Return running plus queued; 0 when nothing listens, for then nothing runs. Raises `NoAnswer`."""
    try:
        async with asyncio.timeout(timeout_seconds):
            return _count(await _get(listener))
    except (FileNotFoundError, ConnectionRefusedError):
        return 0
    except (OSError, TimeoutError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        raise NoAnswer(str(error)) from error


async def _get(listener: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(listener))
    try:
        writer.write(_REQUEST)
        await writer.drain()
        received = b""
        while (chunk := await reader.read(_ANSWER_LIMIT_BYTES)) and len(received) < _ANSWER_LIMIT_BYTES:
            received += chunk
        return received
    finally:
        writer.close()


def _count(received: bytes) -> int:
    response = http.client.HTTPResponse(cast("socket.socket", _Received(received)))
    response.begin()
    status = json.loads(response.read())
    return int(status["running"]) + int(status["queued"])


class _Received:
    """Bytes that stand in for a socket, so that the standard library parses them (chunks too)."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, mode: str) -> io.BytesIO:
        del mode
        return io.BytesIO(self._content)
