"""What a parent leaves for others to read: `state.json`, the deaths so far, and why a start failed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from modelyard_runtime.contract import STATE_FILE, ReplicaState, StartContract, start_ticks, write_state
from modelyard_runtime.replica.lifecycle import Life, Phase
from modelyard_runtime.replica.logs import Log
from modelyard_runtime.replica.tree import model_tree

DEATHS_FILE = "deaths.jsonl"
KEPT_DEATHS = 100


class Reporter:
    """Writes what changed; a disk that refuses costs a line in the log, never the replica."""

    def __init__(self, contract: StartContract, log: Log) -> None:
        self._contract = contract
        self._log = log
        self._started_at = time.time()
        self._ready_at = 0.0
        self._phase_at = self._started_at
        self._explained = ""
        self._written: ReplicaState | None = None
        self.state = self._describe(Life(), server_pid=0, resident_bytes=0)
        """The latest, whether or not it could be written; another thread may read it."""

    def mark(self, before: Life, after: Life) -> None:
        """Log a change of phase, and explain the failure that it may be."""
        if after.phase is before.phase:
            return
        self._phase_at = time.time()
        if after.phase is Phase.READY:
            self._ready_at, self._explained = time.time(), ""
        if after.phase is not Phase.FAILED:
            self._log.say(after.phase.value)
            return
        self._ready_at = 0.0
        self._record(after)
        self._explain(after, at_start=before.phase is Phase.STARTING)

    def tell(self, life: Life, *, server_pid: int, resident_bytes: int) -> None:
        """Write `state.json` if it says anything new."""
        self.state = state = self._describe(life, server_pid=server_pid, resident_bytes=resident_bytes)
        if state == self._written:
            return
        try:
            write_state(state, Path(self._contract.run_dir) / STATE_FILE)
        except OSError as error:
            self._log.say(f"the state could not be written: {error}")
        else:
            self._written = state

    def _describe(self, life: Life, *, server_pid: int, resident_bytes: int) -> ReplicaState:
        contract = self._contract
        return ReplicaState(
            service=contract.service,
            revision=contract.revision,
            replica=contract.replica,
            phase=life.phase.value,
            parent_pid=os.getpid(),
            parent_start_ticks=start_ticks(os.getpid()),
            server_pid=server_pid,
            restarts=life.restarts,
            cause=life.cause,
            remedy=life.remedy,
            cause_class=life.cause_class.label if life.cause_class is not None else "",
            exit_status=life.exit_status,
            resident_bytes=resident_bytes,
            started_at=self._started_at,
            ready_at=self._ready_at,
            phase_at=self._phase_at,
        )

    def _explain(self, life: Life, *, at_start: bool) -> None:
        if at_start and life.cause != self._explained:  # once, not at each try of a back-off
            self._explained = life.cause
            for line in model_tree(self._contract.model_dir):
                self._log.say(line)
        self._log.say(f"{Phase.FAILED.value}: {life.cause}")
        if life.remedy:
            self._log.say(f"what to do: {life.remedy}")

    def _record(self, life: Life) -> None:
        path = Path(self._contract.log_dir or self._contract.run_dir) / DEATHS_FILE
        line = {
            "at": time.time(),
            "cause": life.cause,
            "cause_class": life.cause_class.label if life.cause_class is not None else "",
            "exit_status": life.exit_status,
            "restarts": life.restarts,
        }
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            kept = [*lines[-(KEPT_DEATHS - 1) :], json.dumps(line)]
            path.write_text("\n".join(kept) + "\n", encoding="utf-8")
        except OSError as error:
            self._log.say(f"this death could not be recorded: {error}")
