"""Workers that are processes under the user's own interpreter: what they do to themselves stays with them.

A request goes to the least loaded worker; what no worker has begun stays here, so that it can be withdrawn
and so that a worker's death costs nothing but what it was running.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from modelyard_runtime.contract import StartContract
from modelyard_runtime.scoring.batching import Arrivals, wait_s
from modelyard_runtime.scoring.jobs import Job
from modelyard_runtime.scoring.pool import Pool, StartFailure
from modelyard_runtime.scoring.refusals import TimedOut
from modelyard_runtime.scoring.restarting import delay_s
from modelyard_runtime.scoring.spawning import exit_code_for, in_words, remedy_for
from modelyard_runtime.scoring.streams import InferStream, ScoreStream
from modelyard_runtime.scoring.worker_process import WorkerProcess
from modelyard_runtime.worker.description import Description
from modelyard_runtime.worker.failures import ScriptRaised

log = logging.getLogger(__name__)

_TIDY_EVERY_S = 5.0


class ProcessPool(Pool):
    """`contract.workers` processes, each with an `init()` of its own."""

    def __init__(self, contract: StartContract, changed: Callable[[Pool], None]) -> None:
        super().__init__(contract, changed)
        self._most = contract.batching.max_size
        self._batching = self._most > 1
        self._slots = max(1, math.ceil(contract.max_concurrent / contract.workers))
        self._limit = max(contract.max_concurrent, contract.workers)
        self._room = self._limit * self._most
        self._capacity = self._room + contract.max_queued
        self._waiting: deque[tuple[Job, float]] = deque()
        self._arrivals = Arrivals()
        self._workers: list[WorkerProcess] = []
        self._loads: dict[WorkerProcess, int] = {}
        """Slots taken, of the workers that are ready."""
        self._taken = 0
        self._slot_of: dict[Job, _Slot] = {}
        self._failed_starts = 0
        self._last_failure: StartFailure | None = None
        self._begun = False
        """All workers have been ready once: from now on those that end are started again."""
        self._ending = False
        self._gathering: asyncio.TimerHandle | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._overdue_workers: set[WorkerProcess] = set()

    @property
    def pids(self) -> list[int]:
        """The worker processes; each leads a group of its own."""
        return [worker.pid for worker in self._workers]
