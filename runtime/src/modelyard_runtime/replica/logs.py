"""The server's output, as it came, into files that never grow past their limits."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

LOG_FILE = "replica.log"
_CHUNK_BYTES = 65536


class Log(Protocol):
    """Where a server's output goes, and the parent's own lines."""

    def write(self, data: bytes) -> None:
        """Append output as it came."""

    def say(self, text: str) -> None:
        """Add a line of the parent's own."""

    def follow(self, stream: BinaryIO) -> threading.Thread:
        """Copy a server's output until it ends, on a thread."""

    def close(self) -> None:
        """Write no more."""


class RotatingLog:
    """`replica.log` and its older parts `replica.log.1` ... A full disk loses lines, never the server."""

    def __init__(self, folder: Path, *, max_bytes: int, files: int) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = folder / LOG_FILE
        self._max_bytes = max_bytes
        self._older = max(files - 1, 0)
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        """Append, rotating at a line's end once the limit is reached."""
        with self._lock:
            try:
                self._append(data)
            except OSError:
                self._close()

    def say(self, text: str) -> None:
        """Add a line of the parent's own."""
        self.write(f"modelyard-replica: {text}\n".encode())

    def follow(self, stream: BinaryIO) -> threading.Thread:
        """Copy a server's output until it ends, on a thread."""
        return copying(stream, self.write)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._file = self._path.open("ab", buffering=0)
        room = self._max_bytes - self._file.tell()
        if len(data) <= room:
            self._file.write(data)
            return
        cut = data.rfind(b"\n", 0, max(room, 0)) + 1
        if cut:
            self._file.write(data[:cut])
        if cut or self._file.tell():
            self._rotate()
        rest = data[cut:]
        while len(rest) > self._max_bytes:
            self._opened().write(rest[: self._max_bytes])
            rest = rest[self._max_bytes :]
            self._rotate()
        self._opened().write(rest)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = self._path.open("ab", buffering=0)
        return self._file

    def _rotate(self) -> None:
        self._close()
        for number in range(self._older, 0, -1):
            newer = self._path.with_name(f"{LOG_FILE}.{number - 1}") if number > 1 else self._path
            if newer.exists():
                newer.replace(self._path.with_name(f"{LOG_FILE}.{number}"))
        if not self._older:
            self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def copying(stream: BinaryIO, write: Callable[[bytes], None]) -> threading.Thread:
    """Hand a stream's bytes on until it ends, on a thread."""
    thread = threading.Thread(target=_copy, args=(stream, write), name="log", daemon=True)
    thread.start()
    return thread


def _copy(stream: BinaryIO, write: Callable[[bytes], None]) -> None:
    with stream:
        while data := os.read(stream.fileno(), _CHUNK_BYTES):
            write(data)
