"""The controller's hold on the router's parent: start it, find it again, restart it, stop it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from modelyard.api import RouterSettings, SystemError_, Unavailable
from modelyard.processes import FileLock, Home, ProcessRef, alive, signal_process, stop_process
from modelyard.router import memory
from modelyard.router.envoys import sweep
from modelyard.router.memory import DRAINING, SERVING, STOPPED, ParentState
from modelyard.router.places import Places, spawn_parent
from modelyard.router.ports import await_port

LOG_FILE = "router.log"
_START_SECONDS = 30.0
_RESTART_SECONDS = 60.0
_POLL_SECONDS = 0.05
_STOP_SECONDS = 330.0
"""The parent drains by its routes' own limits; this only ends one that hangs."""
_LOG_TAIL_BYTES = 2_000


@attrs.frozen
class RouterProcessStatus:
    """What the router's parent last wrote of itself; `pid` None = it does not run."""

    url: str
    pid: int | None = None
    envoy_pid: int | None = None
    epoch: int = 0
    phase: str = STOPPED
    restarts: int = 0
    cause: str = ""


class RouterProcess:
    """The router of one home. Every method may be called again, by another controller too."""

    def __init__(self, home: Home, settings: RouterSettings) -> None:
        self._settings = settings
        self._places = Places(
            run=home.router_run,
            state=home.router_state,
            log=home.logs / LOG_FILE,
            upstream=home.xds_socket,
        )

    async def ensure(self) -> None:
        """Adopt the parent that runs, or start one; returns once its Envoy is up.

        Raises `UserError` when somebody else has the port, `Unavailable` when the router does not start.
        """
        for folder in (self._places.run, self._places.state, self._places.log.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        async with self._lock():
            parent = self._running_parent()
            if parent is None:
                before = memory.read_state(self._places.state)
                if before is None or before.envoy is None or not alive(before.envoy):
                    await sweep(self._places.run, before=None)
                    await await_port(self._settings)
                parent = spawn_parent(self._places)
                memory.write_started(self._places.state, parent)
            await self._wait_for(
                parent, lambda s: s.parent == parent and s.envoy is not None and alive(s.envoy)
            )

    async def stop(self) -> None:
        """Drain and stop the router; returns when it is gone. Nothing runs: nothing to do."""
        async with self._lock():
            if (unheard := self._unheard_parent()) is not None:
                await stop_process(unheard, grace_seconds=_STOP_SECONDS)
            state = memory.read_state(self._places.state)
            if state is None:
                return
            if state.phase != STOPPED:
                await stop_process(state.parent, grace_seconds=_STOP_SECONDS)
            if state.envoy is not None and alive(state.envoy):
                await stop_process(state.envoy, grace_seconds=5)

    async def restart(self) -> None:
        """Replace parent and Envoy by new ones that take the listener over; no request is lost.

        Returns once the new one serves; the old one ends when its last request is done.
        """
        await self.ensure()
        async with self._lock():
            state = memory.read_state(self._places.state)
            if state is None or not signal_process(state.parent, signal.SIGHUP):
                raise Unavailable("the router ended before it could be restarted", remedy="run `engine up`")
            old = state.parent
            await self._wait_for(old, lambda s: s.parent != old and s.phase == SERVING, _RESTART_SECONDS)

    @property
    def status(self) -> RouterProcessStatus:
        """Read what the parent wrote; says stopped when it is gone, whatever it wrote last."""
        url = f"http://{_bracketed(self._settings.address)}:{self._settings.port}"
        state = memory.read_state(self._places.state)
        if state is None or not alive(state.parent):
            return RouterProcessStatus(url=url, cause=state.cause if state is not None else "")
        envoy = state.envoy.pid if state.envoy is not None and alive(state.envoy) else None
        return RouterProcessStatus(
            url=url,
            pid=state.parent.pid,
            envoy_pid=envoy,
            epoch=state.epoch,
            phase=state.phase,
            restarts=state.restarts,
            cause=state.cause,
        )

    def _lock(self) -> FileLock:
        self._places.run.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FileLock(self._places.run / "router.lock", timeout_seconds=_RESTART_SECONDS)

    def _unheard_parent(self) -> ProcessRef | None:
        """Return a parent that has not said a word yet: who started it may have ended before it did."""
        unheard = memory.read_unheard(self._places.state)
        return unheard if unheard is not None and alive(unheard) else None

    def _running_parent(self) -> ProcessRef | None:
        if (unheard := self._unheard_parent()) is not None:
            return unheard
        state = memory.read_state(self._places.state)
        if state is None or state.phase in {DRAINING, STOPPED} or not alive(state.parent):
            return None
        return state.parent

    async def _wait_for(
        self, parent: ProcessRef, done: Callable[[ParentState], bool], seconds: float = _START_SECONDS
    ) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = memory.read_state(self._places.state)
            if state is not None and done(state):
                return
            if not alive(parent) and (state is None or not alive(state.parent)):
                break
            await asyncio.sleep(_POLL_SECONDS)
        raise SystemError_(
            f"the router did not come up: {_last_line(self._places.log)}",
            place=str(self._places.log),
            remedy="read the end of that log",
        )


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _last_line(log: Path) -> str:
    try:
        tail = log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip().splitlines()
    except OSError:
        tail = []
    return tail[-1] if tail else "its log is empty"
