"""`modelyard-router`: Envoy's parent. It outlives the controller and lets no request be lost.

SIGTERM: drain, then stop. SIGHUP: a new parent with a new Envoy takes the listener over; this one stays
until its last request is done. SIGUSR1 (sent by that new parent): you were replaced.
A parent that finds the Envoy of a dead parent takes over from it in the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import attrs
from modelyard_runtime.contract import start_ticks

from modelyard.api import ModelyardError, SystemError_
from modelyard.processes import ProcessRef, alive, signal_process
from modelyard.router import memory, protos
from modelyard.router.admin import Admin
from modelyard.router.bootstrap import EnvoyFiles
from modelyard.router.discovery import Hub
from modelyard.router.envoys import (
    Envoy,
    finish_envoy,
    finish_replaced,
    start_envoy,
    sweep,
)
from modelyard.router.loads import LoadListener
from modelyard.router.memory import DRAINING, SERVING, STARTING, STOPPED, SUPERSEDED, ParentState
from modelyard.router.places import Places, rotate_log, spawn_parent
from modelyard.router.relay import Relay
from modelyard.telemetry import get_logger

_log = get_logger("router")
_TICK_SECONDS = 0.2
_SNAPSHOT_PATIENCE_SECONDS = 1.0
"""A live controller's word is waited for this long before the snapshot is served: keys may have changed."""
_FIRST_BACKOFF_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 10.0
_STEADY_SECONDS = 60.0
_LEAST_DRAIN_SECONDS = 65.0


class Parent:
    """One parent's life; `run` returns when it is over."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._me = ProcessRef(os.getpid(), start_ticks(os.getpid()))
        self._before = memory.read_state(places.state)
        self._hub = Hub(self._on_change)
        self._relay = Relay(places.upstream, self._hub, node=f"router-{self._me.pid}")
        self._loads = LoadListener(self._relay.report)
        self._saved = ""
        self._told = asyncio.Event()
        self._live = asyncio.Event()
        self._phase = STARTING
        self._restarts = 0
        self._cause = ""
        self._envoy: Envoy | None = None
        self._successor: ProcessRef | None = None
        self._successor_wanted = False
        self._background: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Serve until told to stop, or until replaced and done."""
        files, base_id = self._lineage()
        self._catch_signals()
        await sweep(self._places.run, before=self._before)
        self._write_state()
        server = await self._serve_xds(files)
        relaying = self._in_background(self._relay.run())
        remembering = self._in_background(self._fall_back_to_snapshot())
        try:
            await self._start(files, base_id)
            replacing = self._in_background(self._finish_predecessor())
            await self._watch()
            await self._end()
            replacing.cancel()
        finally:
            for task in (relaying, remembering):
                task.cancel()
            await server.stop(0)
            files.remove()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.append(task)
        return task

    def _raise_failure(self) -> None:
        """End with the reason when a task failed: Envoy goes on serving, and the next parent takes over."""
        for task in self._background:
            if task.done() and not task.cancelled():
                task.result()

    def _lineage(self) -> tuple[EnvoyFiles, int | None]:
        """Continue a living Envoy's line, whoever started it; else begin a new one."""
        before = self._before
        if before is None or before.envoy is None or not alive(before.envoy):
            return EnvoyFiles(self._places.run, self._me.pid), None
        return EnvoyFiles(self._places.run, self._me.pid, before.epoch + 1), before.base_id

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        reactions: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: lambda: self._turn(DRAINING),
            signal.SIGINT: lambda: self._turn(DRAINING),
            signal.SIGUSR1: lambda: self._turn(SUPERSEDED),
            signal.SIGHUP: self._ask_for_successor,
        }
        for number, reaction in reactions.items():
            loop.add_signal_handler(number, reaction)

    def _turn(self, phase: str) -> None:
        if self._phase != DRAINING:
            self._phase = phase
        self._told.set()

    async def _serve_xds(self, files: EnvoyFiles) -> protos.Server:
        server = protos.make_server(files.xds, self._hub.serve, self._loads.serve)
        await server.start()
        files.xds.chmod(0o600)
        return server

    async def _fall_back_to_snapshot(self) -> None:
        await asyncio.sleep(_SNAPSHOT_PATIENCE_SECONDS)
        remembered = memory.read_snapshot(self._places.state)
        if remembered.complete and not self._hub.offered.complete:
            _log.warning("controller_away", serving=remembered.version)
            self._saved = remembered.version
            self._hub.offer(remembered)

    async def _start(self, files: EnvoyFiles, base_id: int | None) -> None:
        """Start Envoy, however often it takes; without a listener's answer it is no less alive."""
        pause = _FIRST_BACKOFF_SECONDS
        while self._phase not in {DRAINING, SUPERSEDED}:
            try:
                self._envoy = await start_envoy(files, base_id=base_id, log=self._places.log)
            except SystemError_ as error:
                self._cause = str(error)
                _log.error("envoy_not_started", cause=self._cause)
                self._write_state()
                await self._told_within(pause)
                pause = min(pause * 2, _LONGEST_BACKOFF_SECONDS)
                continue
            self._write_state()
            return

    async def _watch(self) -> None:
        """Keep Envoy alive, its log short and the state file true, until told otherwise."""
        pause, started = _FIRST_BACKOFF_SECONDS, time.monotonic()
        while self._phase in {STARTING, SERVING}:
            self._raise_failure()
            rotate_log(self._places.log)
            if self._envoy is not None and not self._envoy.alive:
                if time.monotonic() - started > _STEADY_SECONDS:
                    pause = _FIRST_BACKOFF_SECONDS
                await self._revive(pause)
                pause, started = min(pause * 2, _LONGEST_BACKOFF_SECONDS), time.monotonic()
            elif self._phase == STARTING and self._envoy is not None and await self._serving(self._envoy):
                self._phase = SERVING
                self._live.set()
                self._write_state()
            elif self._phase == SERVING and self._successor_wanted:
                self._start_successor()
            await self._told_within(_TICK_SECONDS)

    async def _serving(self, envoy: Envoy) -> bool:
        return self._hub.taken and self._hub.offered.complete and await envoy.admin.ready()

    async def _revive(self, pause: float) -> None:
        self._phase, self._cause = STARTING, "Envoy ended unexpectedly; its log tells more"
        self._restarts += 1
        _log.error("envoy_died", restarts=self._restarts, next_try_s=pause)
        self._write_state()
        await self._told_within(pause)
        dead, self._envoy = self._envoy, None
        if dead is not None:
            await self._start(attrs.evolve(dead.files, epoch=0), None)  # its line ended with it

    async def _told_within(self, wait_seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                await self._told.wait()
        self._told.clear()

    async def _finish_predecessor(self) -> None:
        """Once we serve, tell the parent before us; where it is dead, end its Envoy ourselves."""
        before = self._before
        if before is None or before.envoy is None or self._envoy is None or self._envoy.files.epoch == 0:
            return
        await self._live.wait()
        if signal_process(before.parent, signal.SIGUSR1):
            return
        await finish_replaced(
            before.envoy,
            in_flight=lambda: None,
            connections=_connections_before(self._envoy.admin),
            limit_seconds=self._drain_seconds(),
        )

    async def _end(self) -> None:
        if self._phase == SUPERSEDED:
            await self._end_replaced()
            return
        self._write_state()
        _log.info("draining")
        if self._envoy is not None:
            await finish_envoy(self._envoy, limit_seconds=self._drain_seconds())
        self._phase = STOPPED
        self._write_state()

    async def _end_replaced(self) -> None:
        if self._envoy is None:
            return
        successor = memory.read_state(self._places.state)
        owner = successor.parent.pid if successor is not None else self._me.pid
        await finish_replaced(
            self._envoy.process,
            in_flight=self._loads.in_flight,
            connections=_connections_before(Admin(EnvoyFiles(self._places.run, owner).admin)),
            limit_seconds=self._drain_seconds(),
        )

    def _ask_for_successor(self) -> None:
        self._successor_wanted = True
        self._told.set()

    def _start_successor(self) -> None:
        """Start the parent that takes over; one at a time, and not before our own predecessor is gone."""
        if self._successor is not None and alive(self._successor):
            return
        before = self._before
        if before is not None and before.envoy is not None and alive(before.envoy):
            return
        self._successor_wanted = False
        self._successor = spawn_parent(self._places)

    def _drain_seconds(self) -> float:
        """No request outlives its route's time limit."""
        return max(_LEAST_DRAIN_SECONDS, protos.longest_timeout_seconds(self._items(protos.ROUTES)) + 5.0)

    def _items(self, url: str) -> tuple[bytes, ...]:
        typed = self._hub.offered.types.get(url)
        return tuple(typed.items.values()) if typed is not None else ()

    def _on_change(self) -> None:
        self._relay.settle()
        offered = self._hub.offered
        if self._hub.taken and offered.complete and offered.version != self._saved:
            self._remember(lambda: memory.write_snapshot(self._places.state, offered))
            self._saved = offered.version
            if self._phase == SERVING:
                self._write_state()

    def _write_state(self) -> None:
        envoy, before = self._envoy, self._before
        if envoy is None and before is not None and before.envoy is not None and alive(before.envoy):
            # Until ours runs, whoever starts after us must still find the one that serves.
            process, epoch, base_id = before.envoy, before.epoch, before.base_id
        elif envoy is None:
            process, epoch, base_id = None, 0, None
        else:
            process, epoch, base_id = envoy.process, envoy.files.epoch, envoy.base_id
        known = ParentState(
            parent=self._me,
            phase=self._phase,
            envoy=process,
            epoch=epoch,
            base_id=base_id,
            port=protos.listening_port(self._items(protos.LISTENER)),
            restarts=self._restarts,
            cause=self._cause,
        )
        self._remember(lambda: memory.write_state(self._places.state, known))

    def _remember(self, write: Callable[[], None]) -> None:
        """Write to disk; a full one costs the memory of a restart, never a request."""
        try:
            write()
        except (ModelyardError, OSError) as error:
            _log.error("not_remembered", cause=str(error))


def _connections_before(admin: Admin) -> Callable[[], Awaitable[int]]:
    """Ask the new Envoy how many connections the one before it still has."""

    async def ask() -> int:
        try:
            return await admin.gauge("server.parent_connections")
        except OSError:
            return 1  # nobody can tell: leave it to the time limits

    return ask
