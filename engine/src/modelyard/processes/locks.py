"""A lock between processes, which the kernel lets go of when its holder dies."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from modelyard.api import Conflict
from modelyard.processes.files import disk_errors

_POLL_SECONDS = 0.05


class FileLock:
    """Exclusive lock on a file, as a plain or an async context manager; not reentrant.

    The file stays behind, holding the pid of whoever locked it last. Raises `Conflict`, naming that
    pid, when the lock is not free within `timeout_seconds`.
    """

    def __init__(self, path: Path, *, timeout_seconds: float = 600.0) -> None:
        self.path = path
        self._timeout_seconds = timeout_seconds
        self._handle: int | None = None

    def __enter__(self) -> Self:
        deadline = time.monotonic() + self._timeout_seconds
        while not self._try():
            self._check(deadline)
            time.sleep(_POLL_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    async def __aenter__(self) -> Self:
        deadline = time.monotonic() + self._timeout_seconds
        while not self._try():
            self._check(deadline)
            await asyncio.sleep(_POLL_SECONDS)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def holder(self) -> int | None:
        """Return the pid that wrote itself into the file; it may have let go since."""
        try:
            return int(self.path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def _try(self) -> bool:
        with disk_errors(self.path):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        if not self._still_there(handle):
            os.close(handle)
            return False
        os.ftruncate(handle, 0)
        with contextlib.suppress(OSError):  # a full disk costs the holder's name, not the lock
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._handle = handle
        return True

    def _still_there(self, handle: int) -> bool:
        """Whoever waits on a file that was removed meanwhile would lock nothing."""
        try:
            return os.path.samestat(os.fstat(handle), self.path.stat())
        except FileNotFoundError:
            return False

    def _check(self, deadline: float) -> None:
        if time.monotonic() < deadline:
            return
        holder = self.holder()
        who = f"process {holder}" if holder else "another process"
        raise Conflict(
            f"{who} has held the lock for over {self._timeout_seconds:g} s",
            place=str(self.path),
            remedy="wait for it to finish, or stop it",
        )
