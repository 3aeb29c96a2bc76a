"""Ask a thread to stop: between two chunks, and where it waits for a daemon."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any


class Stopped(Exception):
    """The thread was asked to stop."""


class Stop:
    """Set by whoever no longer waits; a connection that is waited on is cut."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []

    @property
    def is_set(self) -> bool:
        """Whether to stop."""
        return self._event.is_set()

    def set(self) -> None:
        """Ask to stop; a daemon that reads or writes a cut connection gives up its work."""
        with self._lock:
            self._event.set()
            for connection in self._connections:
                _cut(connection)

    def check(self) -> None:
        """Raise `Stopped` when it was asked for."""
        if self.is_set:
            raise Stopped

    def watched(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass chunks on until it is set."""
        for chunk in chunks:
            self.check()
            yield chunk

    def hook(self, response: Any, *_: Any, **__: Any) -> None:
        """Hear of a response whose body is about to be read: requests calls this."""
        connection = getattr(getattr(response.raw, "connection", None), "sock", None)
        with self._lock:
            if connection is not None:
                self._connections.append(connection)
                if self.is_set:
                    _cut(connection)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
