"""Ask a replica over its own socket or port, with a time limit: what it answers is not trusted."""

from __future__ import annotations

import asyncio
import http.client
import io
import socket
from typing import cast

TIMEOUT_SECONDS = 0.5
_ANSWER_LIMIT_BYTES = 65_536
_OK = 200


class NoAnswer(Exception):
    """Something listens but did not say a sensible thing in time: what it runs is not known."""


class NobodyListens(NoAnswer):
    """Nothing listens there."""


async def ask(address: str, path: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> bytes:
    """GET a path from `unix:/path` or `host:port` and return the body. Raises `NoAnswer`."""
    try:
        async with asyncio.timeout(timeout_seconds):
            return _body(await _exchange(address, path))
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NobodyListens(str(error)) from error
    except (OSError, TimeoutError, ValueError, http.client.HTTPException) as error:
        raise NoAnswer(str(error)) from error


async def _exchange(address: str, path: str) -> bytes:
    reader, writer = await _connect(address)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: replica\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        received = b""
        while (chunk := await reader.read(_ANSWER_LIMIT_BYTES)) and len(received) < _ANSWER_LIMIT_BYTES:
            received += chunk
        return received
    finally:
        writer.close()


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


def _body(received: bytes) -> bytes:
    response = http.client.HTTPResponse(cast("socket.socket", _Received(received)))
    response.begin()
    if response.status != _OK:
        raise ValueError(f"status {response.status}")
    return response.read()


class _Received:
    """Bytes that stand in for a socket, so that the standard library parses them (chunks too)."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, mode: str) -> io.BytesIO:
        del mode
        return io.BytesIO(self._content)
