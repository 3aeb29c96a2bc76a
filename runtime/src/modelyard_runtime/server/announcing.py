"""Tells Envoy whether this replica is ready, so that it may answer health by itself.

Over Envoy's admin pipe, from a thread of its own: Envoy's main thread, which answers there, may itself be
waiting for this process's Python while it starts.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from http import HTTPStatus
from pathlib import Path

from modelyard_runtime.local_http import request
from modelyard_runtime.pairing import READY_KEY

log = logging.getLogger(__name__)

ALL, NONE = 100, 0
"""How many in a hundred health requests Envoy answers."""
_ANSWER_S = 1.0
_PAUSE_S = 0.05
_WORTH_A_LINE = 20
"""Refusals in a row: for the first second Envoy may still be starting."""


class Unheard:
    """Where nobody listens: what a service says that has no Envoy around it."""

    def say(self, ready: bool) -> None:  # noqa: FBT001  # say(True) reads as it is
        """Say it to nobody."""

    async def heard(self, *, within_s: float) -> bool:
        """Nobody acts on what was not said."""
        del within_s
        return True

    def close(self) -> None:
        """Say no more."""


class Announcer:
    """Passes on the last word said; what was overtaken on its way is never told."""

    def __init__(self, admin: Path) -> None:
        self._admin = admin
        self._ready = False
        self._wanted = 0
        self._told = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._over = False

    def say(self, ready: bool) -> None:  # noqa: FBT001  # say(True) reads as it is
        """Have Envoy told; returns at once."""
        with self._changed:
            if ready == self._ready:
                return
            self._ready = ready
            self._wanted += 1
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._tell_all, name="announcer", daemon=True)
                self._thread.start()

    async def heard(self, *, within_s: float) -> bool:
        """Wait until Envoy acts on what was said before; False where it did not come to that in time."""
        return await asyncio.to_thread(self._wait, within_s)

    def close(self) -> None:
        """Say no more; returns at once."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _wait(self, within_s: float) -> bool:
        with self._changed:
            wanted = self._wanted
            return self._changed.wait_for(lambda: self._told >= wanted, within_s)

    def _tell_all(self) -> None:
        refusals = 0
        while (word := self._next()) is not None:
            number, ready = word
            if tell(self._admin, ready=ready):
                refusals = 0
                self._note(number)
                continue
            refusals += 1
            if refusals == _WORTH_A_LINE:
                log.warning("Envoy does not hear whether this replica is ready: %s", self._admin)
            self._rest()

    def _next(self) -> tuple[int, bool] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._told < self._wanted)
            return None if self._over else (self._wanted, self._ready)

    def _note(self, number: int) -> None:
        with self._changed:
            self._told = number
            self._changed.notify_all()

    def _rest(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._over, _PAUSE_S)


def tell(admin: Path, *, ready: bool) -> bool:
    """Set Envoy's runtime key once; whether it took it.

    When this returns, the word lies before whatever Envoy's worker is handed next.
    """
    target = f"/runtime_modify?{READY_KEY}={ALL if ready else NONE}"
    answer = request(admin, "POST", target, timeout_s=_ANSWER_S)
    return answer is not None and answer[0] == HTTPStatus.OK
