"""What follows when a replica's readiness changes: Envoy and the parent are told, and what could wait is loaded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path

from modelyard_runtime.server.announcing import Announcer
from modelyard_runtime.server.grpc import later

_REST_S = 1.0
"""The first requests come before what may never be asked for."""


class News(Announcer):
    """An announcer whose words the parent hears too; it has asked for nothing while the script loaded."""

    def __init__(self, admin: Path, *, ear: int) -> None:
        super().__init__(admin)
        self._ear = ear

    def say(self, ready: bool) -> None:  # noqa: FBT001  # say(True) reads as it is
        """Have everyone told; returns at once. Called on the event loop."""
        super().say(ready)
        with contextlib.suppress(OSError):  # a full pipe wakes the parent as well
            os.write(self._ear, b"\0")
        if ready:
            asyncio.get_running_loop().call_later(_REST_S, _load_the_rest)


def _load_the_rest() -> None:
    threading.Thread(target=later.serve.load, name="loading-grpc", daemon=True).start()
