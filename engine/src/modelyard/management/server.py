"""The socket: uvicorn on a unix socket that appears whole and goes with the server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from litestar.types import ASGIApp

from modelyard.api import SystemError_
from modelyard.management.peers import PeerCheckedProtocol

DRAIN_SECONDS = 2
"""Streams that are still open when the server ends get this long."""
_BACKLOG = 128
_POLL_SECONDS = 0.01


class ManagementServer:
    """Serves one application on one socket, inside the running event loop."""

    def __init__(self, app: ASGIApp, path: Path) -> None:
        self._path = path
        self._server = _Server(
            uvicorn.Config(
                app,
                http=PeerCheckedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once requests are answered."""
        listener = _listen(self._path)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]), name="management")
        while not self._server.started:
            if self._serving.done():
                await self._serving
                raise SystemError_("the management server ended at once", place=str(self._path))
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> None:
        """Stop taking requests, let those that run finish, remove the socket."""
        self._path.unlink(missing_ok=True)
        if self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._serving = None


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals belong to the daemon, and to the program that embeds an engine.
        yield


def _listen(path: Path) -> socket.socket:
    """Bind beside `path` and rename: whoever finds the socket can connect to it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(beside))
        beside.chmod(0o600)
        listener.listen(_BACKLOG)
        beside.replace(path)
    except OSError as error:
        listener.close()
        raise SystemError_(
            f"cannot listen for clients: {error.strerror or error}",
            place=str(path),
            remedy="make the folder writable, or set MODELYARD_HOME to a shorter path",
        ) from error
    return listener
