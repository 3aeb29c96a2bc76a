"""The parent's loop: asks, listens, and does what the state machine decides.

One thread, woken by signals, by the server's news, by the warm-up's end or by the clock.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from modelyard_runtime.contract import ReplicaStatus, StartContract
from modelyard_runtime.replica import probing
from modelyard_runtime.replica.lifecycle import (
    Action,
    DrainAsked,
    Event,
    Life,
    Phase,
    Probed,
    StopAsked,
    Tick,
    WarmedUp,
    advance,
    begin,
)
from modelyard_runtime.replica.logs import Log
from modelyard_runtime.replica.reaping import reap
from modelyard_runtime.replica.reporting import Reporter
from modelyard_runtime.replica.server import Server

RESIDENT_PERIOD_S = 5.0
_PAUSE_S = {
    Phase.STARTING: 0.5,
    Phase.DRAINING: 0.05,
    Phase.FAILED: 0.1,
    Phase.READY: 0.5,
    Phase.STOPPED: 0.0,
}
"""How long to sleep when nothing happens; ready is the period of the memory watch and of asking for dead workers.

A server that starts says when there is news: asking it more often would take time from what it loads.
"""
_EAGER_S = 1.0
_EAGER_PAUSE_S = 0.02
"""After news a server may still need a moment before it listens."""
_COUNTS_S = 0.5
"""How long whoever asks for the status waits for a server that does not answer."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD)


class Watcher(Protocol):
    """Follows a replica's life, and may ask for its end."""

    def saw(self, event: Event, before: Life, after: Life) -> Sequence[Event]:
        """Something happened; what is returned happens next."""


class Supervisor:
    """Keeps one server alive until told otherwise."""

    def __init__(
        self,
        contract: StartContract,
        start_file: Path,
        log: Log,
        watcher: Watcher | None = None,
        *,
        contained: bool = False,
        early: Sequence[int] = (),
    ) -> None:
        self._contract = contract
        self._log = log
        self._watcher = watcher
        self._wake_read, self._wake_write = os.pipe()
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)
        self._server = Server(contract, start_file, log, ear=self._wake_write, contained=contained)
        self._early = early
        self._inherits = os.getpid() == 1
        self._reporter = Reporter(contract, log)
        self._life = Life()
        self._resident = 0
        self._resident_due_s = 0.0
        self._probe_due_s = 0.0
        self._signals: list[int] = []
        self._warmed: list[WarmedUp] = []
        self._asked_to_end = 0
        self._eager_until_s = 0.0

    def run(self) -> Life:
        """Live; returns how it stood at the end."""
        for number in _SIGNALS:
            signal.signal(number, self._note)
        self._signals[:0] = self._early  # nobody adds to them any more
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        try:
            self._do(begin(time.monotonic()))
            while self._life.phase is not Phase.STOPPED:
                for event in self._events():
                    self._happen(event)
                if self._inherits:
                    reap(self._server.pid)
                self._pause()
        finally:
            signal.set_wakeup_fd(-1)
            self._server.kill()
            self._server.remove_traces()
            self._log.close()
        return self._life

    def status(self) -> ReplicaStatus:
        """Say how it stands, and ask the server how busy it is; may be called on any thread."""
        state = self._reporter.state
        busy = probing.counts(self._server.socket, timeout_s=_COUNTS_S) if state.server_pid else None
        running, queued = busy or (None, None)
        return ReplicaStatus(**dataclasses.asdict(state), running=running, queued=queued)

    def _note(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def _pause(self) -> None:
        if self._signals or self._warmed or self._life.phase is Phase.STOPPED:
            return
        pause_s = _PAUSE_S[self._life.phase]
        if self._life.phase is Phase.STARTING and time.monotonic() < self._eager_until_s:
            pause_s = _EAGER_PAUSE_S
        select.select([self._wake_read], [], [], pause_s)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
            self._eager_until_s = time.monotonic() + _EAGER_S

    def _events(self) -> list[Event]:
        now_s = time.monotonic()
        events: list[Event] = [*self._asked()]
        death = self._server.death()
        if death is not None:
            events.append(death)
        elif self._life.phase is Phase.STARTING and (complaint := self._server.complaint()) is not None:
            events.append(complaint)
        while self._warmed:
            events.append(self._warmed.pop(0))
        events += self._looked(now_s)
        self._weigh(now_s)
        return [*events, Tick()]

    def _asked(self) -> list[Event]:
        events: list[Event] = []
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGUSR1:
                events.append(DrainAsked(stop=False))
            elif number != signal.SIGCHLD:
                self._asked_to_end += 1
                at_once = self._asked_to_end > 1 or (number == signal.SIGINT and self._watcher is None)
                events.append(StopAsked() if at_once else DrainAsked(stop=True))
        return events

    def _looked(self, now_s: float) -> list[Event]:
        events: list[Event] = []
        if self._server.pid and self._life.phase in (Phase.STARTING, Phase.READY, Phase.DRAINING):
            polled = probing.poll(self._server.socket)
            events += [polled] if polled is not None else []
        if self._life.phase is Phase.READY and now_s >= self._probe_due_s:
            self._probe_due_s = now_s + self._contract.probe.period_s
            alive = probing.alive(self._server.socket, timeout_s=self._contract.probe.timeout_s)
            events.append(Probed(alive))
        return events

    def _weigh(self, now_s: float) -> None:
        resident = self._server.resident()
        self._server.over_limit(resident)
        if now_s >= self._resident_due_s and resident:
            self._resident, self._resident_due_s = resident, now_s + RESIDENT_PERIOD_S
            self._tell()

    def _happen(self, event: Event) -> None:
        before = self._life
        self._do(advance(before, event, self._contract, time.monotonic()))
        if self._watcher is not None:
            for following in self._watcher.saw(event, before, self._life):
                self._do(advance(self._life, following, self._contract, time.monotonic()))

    def _do(self, step: tuple[Life, tuple[Action, ...]]) -> None:
        before, (self._life, actions) = self._life, step
        self._mark(before)
        for action in actions:
            self._act(action)
        self._reporter.mark(before, self._life)  # after a kill: the server's last words come first
        self._tell()

    def _mark(self, before: Life) -> None:
        phase = self._life.phase
        if phase is Phase.READY and before.phase is not Phase.READY:
            self._server.was_ready, self._resident_due_s = True, 0.0
            self._probe_due_s = time.monotonic() + self._contract.probe.initial_delay_s
        if phase is Phase.FAILED and before.phase is not Phase.FAILED:
            self._resident = 0

    def _act(self, action: Action) -> None:
        match action:
            case Action.START_SERVER:
                self._server.start()
            case Action.WARM_UP:
                threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()
            case Action.TELL_DRAIN:
                probing.tell_drain(self._server.socket)
            case Action.STOP_SERVER:
                self._server.stop()
            case Action.KILL_SERVER:
                self._server.kill()
            case Action.EXIT:
                self._server.remove_traces()

    def _warm_up(self) -> None:
        outcome = probing.warm_up(
            self._server.socket, Path(self._contract.sample), timeout_s=self._contract.startup_timeout_s
        )
        self._warmed.append(outcome)
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"\0")

    def _tell(self) -> None:
        self._reporter.tell(self._life, server_pid=self._server.pid, resident_bytes=self._resident)
