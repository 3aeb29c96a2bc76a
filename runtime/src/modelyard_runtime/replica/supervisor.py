"""The parent's loop: asks, listens, and does what the state machine decides.

One thread, woken by signals, by the warm-up's end or by the clock.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
import time
from pathlib import Path

from modelyard_runtime.contract import (
    STATE_FILE,
    ContractError,
    ReplicaState,
    StartContract,
    read_contract,
    start_ticks,
    write_state,
)
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
from modelyard_runtime.replica.logs import RotatingLog
from modelyard_runtime.replica.server import Server

EXIT_USAGE = 2
DEATHS_FILE = "deaths.jsonl"
KEPT_DEATHS = 100
RESIDENT_PERIOD_S = 5.0
_PAUSE_S = {
    Phase.STARTING: 0.03,
    Phase.DRAINING: 0.05,
    Phase.FAILED: 0.1,
    Phase.READY: 0.5,
    Phase.STOPPED: 0.0,
}
"""How long to sleep when nothing happens; ready is the memory watch's period."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD)


class Supervisor:
    """Keeps one server alive until told otherwise."""

    def __init__(self, contract: StartContract, start_file: Path) -> None:
        self._contract = contract
        self._run_dir = Path(contract.run_dir)
        self._log = RotatingLog(
            Path(contract.log_dir), max_bytes=contract.log_max_bytes, files=contract.log_files
        )
        self._server = Server(contract, start_file, self._log)
        self._life = Life()
        self._started_at = time.time()
        self._ready_at = 0.0
        self._resident = 0
        self._resident_due_s = 0.0
        self._probe_due_s = 0.0
        self._written: ReplicaState | None = None
        self._signals: list[int] = []
        self._warmed: list[WarmedUp] = []
        self._asked_to_end = 0
        self._wake_read, self._wake_write = os.pipe()
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)

    def run(self) -> int:
        """Live; returns the exit code."""
        for number in _SIGNALS:
            signal.signal(number, self._note)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        try:
            self._do(begin(time.monotonic()))
            while self._life.phase is not Phase.STOPPED:
                for event in self._events():
                    self._do(advance(self._life, event, self._contract, time.monotonic()))
                self._pause()
        finally:
            signal.set_wakeup_fd(-1)
            self._server.kill()
            self._server.remove_traces()
            self._log.close()
        return 0

    def _note(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def _pause(self) -> None:
        if self._signals or self._warmed or self._life.phase is Phase.STOPPED:
            return
        select.select([self._wake_read], [], [], _PAUSE_S[self._life.phase])
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

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
                at_once = number == signal.SIGINT or self._asked_to_end > 1
                events.append(StopAsked() if at_once else DrainAsked(stop=True))
        return events

    def _looked(self, now_s: float) -> list[Event]:
        if self._life.phase in (Phase.STARTING, Phase.DRAINING):
            polled = probing.poll(self._server.socket) if self._server.pid else None
            return [polled] if polled is not None else []
        if self._life.phase is Phase.READY and now_s >= self._probe_due_s:
            self._probe_due_s = now_s + self._contract.probe.period_s
            return [Probed(probing.alive(self._server.socket, timeout_s=self._contract.probe.timeout_s))]
        return []

    def _weigh(self, now_s: float) -> None:
        resident = self._server.resident()
        self._server.over_limit(resident)
        if now_s >= self._resident_due_s and resident:
            self._resident, self._resident_due_s = resident, now_s + RESIDENT_PERIOD_S
            self._tell()

    def _do(self, step: tuple[Life, tuple[Action, ...]]) -> None:
        before, (self._life, actions) = self._life, step
        self._mark(before)
        for action in actions:
            self._act(action)
        self._tell()

    def _mark(self, before: Life) -> None:
        after = self._life
        if after.phase is Phase.READY and before.phase is not Phase.READY:
            self._ready_at, self._resident_due_s = time.time(), 0.0
            self._probe_due_s = time.monotonic() + self._contract.probe.initial_delay_s
        if after.phase is Phase.FAILED and before.phase is not Phase.FAILED:
            self._ready_at, self._resident = 0.0, 0
            self._record()
        if after.phase is not before.phase:
            self._log.say(after.phase.value + (f": {after.cause}" if after.phase is Phase.FAILED else ""))

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

    def _record(self) -> None:
        path = Path(self._contract.log_dir) / DEATHS_FILE
        life = self._life
        line = {
            "at": time.time(),
            "cause": life.cause,
            "exit_status": life.exit_status,
            "restarts": life.restarts,
        }
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            kept = [*lines[-(KEPT_DEATHS - 1) :], json.dumps(line)]
            path.write_text("\n".join(kept) + "\n", encoding="utf-8")
        except OSError as error:
            self._log.say(f"this death could not be recorded: {error}")

    def _tell(self) -> None:
        life, contract = self._life, self._contract
        state = ReplicaState(
            service=contract.service,
            revision=contract.revision,
            replica=contract.replica,
            phase=life.phase.value,
            parent_pid=os.getpid(),
            parent_start_ticks=start_ticks(os.getpid()),
            server_pid=self._server.pid,
            restarts=life.restarts,
            cause=life.cause,
            remedy=life.remedy,
            exit_status=life.exit_status,
            resident_bytes=self._resident,
            started_at=self._started_at,
            ready_at=self._ready_at,
        )
        if state == self._written:
            return
        try:
            write_state(state, self._run_dir / STATE_FILE)
        except OSError as error:
            self._log.say(f"the state could not be written: {error}")
        else:
            self._written = state


def main() -> int:
    """`modelyard-replica CONTRACT`."""
    if len(sys.argv) != 2:  # noqa: PLR2004  # the program and its one argument
        sys.stderr.write("usage: modelyard-replica <run_dir>/start.json\n")
        return EXIT_USAGE
    path = Path(sys.argv[1]).absolute()
    try:
        contract = read_contract(path)
    except ContractError as error:
        sys.stderr.write(f"modelyard-replica: {error}\n")
        return EXIT_USAGE
    with contextlib.suppress(PermissionError):  # already a session's leader
        os.setsid()
    return Supervisor(contract, path).run()
