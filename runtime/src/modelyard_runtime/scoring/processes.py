"""Workers that are processes under the user's own interpreter: what they do to themselves stays with them.

A request goes to the least loaded worker; what no worker has begun stays here, so that it can be withdrawn
and so that a worker's death costs nothing but what it was running.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import Any

from modelyard_runtime.causes import CauseClass, StartFailure
from modelyard_runtime.contract import StartContract
from modelyard_runtime.scoring.dispatching import OVERDUE, Crew, dispatch_for
from modelyard_runtime.scoring.jobs import Job
from modelyard_runtime.scoring.pool import Pool
from modelyard_runtime.scoring.refusals import Interrupted, TimedOut
from modelyard_runtime.scoring.spawning import (
    exit_code_for,
    in_words,
    interpreter,
    remedy_for,
)
from modelyard_runtime.scoring.streams import InferStream, ScoreStream
from modelyard_runtime.scoring.worker_process import WorkerProcess
from modelyard_runtime.worker.description import Description
from modelyard_runtime.worker.failures import ScriptRaised

log = logging.getLogger(__name__)

_TIDY_EVERY_S = 5.0
_NEIGHBOURS_S = 5.0
"""How long a worker with an overdue request goes on for the others that it runs. The fresh one starts only
when it is gone: the memory of both may be more than the replica has."""


class ProcessPool(Pool):
    """`contract.workers` processes, each with an `init()` of its own."""

    def __init__(self, contract: StartContract, changed: Callable[[Pool], None]) -> None:
        super().__init__(contract, changed)
        self._slots = max(1, math.ceil(contract.max_concurrent / contract.workers))
        self._workers: list[WorkerProcess] = []
        self.used_at = time.monotonic()
        """When it last got a request."""
        limit = max(contract.max_concurrent, contract.workers)
        self._room = limit * contract.batching.max_size
        self._capacity = self._room + contract.max_queued
        self._dispatch = dispatch_for(contract, Crew(self._workers, self._slots, limit, self._expired))
        self._complete = False
        """All workers have been ready at once: from now on one that ends is started again."""
        self._ending = False
        self._failed_starts = 0
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def pids(self) -> list[int]:
        """The worker processes; each leads a group of its own."""
        return [worker.pid for worker in self._workers]

    @property
    def busy(self) -> bool:
        """Whether a request runs or waits."""
        return self._pending > 0

    # --- what the pool asks for -----------------------------------------------------------------

    def _begin(self) -> None:
        self._tidy()
        for _ in range(self.contract.workers):
            if self.failure is None:
                self._start_one()

    def _give(self, job: Job) -> None:
        self.used_at = time.monotonic()
        self._dispatch.add(job)

    def _withdraw(self, job: Job, refusal: Exception) -> None:
        self._dispatch.withdraw(job)
        super()._withdraw(job, refusal)

    def _overdue(self, job: Job) -> None:
        for worker in self._workers:
            if worker.runs(job):
                self._retire(worker)

    async def _end(self) -> None:
        self._ending = True
        self._dispatch.close()
        for timer in self._timers.values():
            timer.cancel()
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    # --- what workers say -------------------------------------------------------------------------

    def worker_ready(self, worker: WorkerProcess, description: Description) -> None:
        """Hear that `init()` is done."""
        self._forget_timer(f"start of {worker.pid}")
        self._failed_starts = 0
        self._complete = self._complete or sum(one.ready for one in self._workers) == self.contract.workers
        if self._complete and not self.ready:
            self._loaded(description)
        self._dispatch.hand_out()

    def worker_broken(self, worker: WorkerProcess, failure: StartFailure) -> None:
        """Hear that the script cannot serve."""
        worker.kill(f"could not serve: {failure.cause}")
        if not self._complete:
            self._give_up(failure)

    def worker_answered(self, worker: WorkerProcess, job: Job, reply: Any, failure: Exception | None) -> None:
        """Hear that a job is done."""
        if self._dispatch.done(worker, job):
            self._finished(job, reply, failure)
        if worker.retiring:
            self._retire(worker)
        self._dispatch.hand_out()

    def worker_streams(self, job: Job, stream: ScoreStream | InferStream) -> None:
        """Hear that a job's answer comes in pieces."""
        self._streaming(job, stream)

    def worker_ended(self, worker: WorkerProcess, status: int) -> None:
        """Hear that the process is gone: what it ran has failed, and another takes its place."""
        self._forget_timer(f"start of {worker.pid}")
        self._forget_timer(f"end of {worker.pid}")
        self._workers.remove(worker)
        why = worker.cause or in_words(status)
        failure = _failure_of_what_ran(worker, why)
        for job in self._dispatch.lost(worker, worker.abandon(failure)):
            self._finished(job, None, failure)
        if self._ending:
            return
        if not self._complete:
            self._give_up(
                StartFailure(
                    f"the worker process {why} before it could serve",
                    remedy_for(status),
                    exit_code_for(status),
                )
            )
            return
        log.error("worker %d %s; a fresh one is started", worker.pid, why)
        self._failed_starts += not worker.was_ready
        self._see_who_is_left()
        # one that has served is replaced at once, one that cannot start ever later
        pause_s = self.contract.backoff_s(self._failed_starts) if self._failed_starts else 0.0
        self._timers[f"restart after {worker.pid}"] = self._loop.call_later(
            pause_s, self._start_again, worker.pid
        )

    # --- ending one for its time ------------------------------------------------------------------

    def _retire(self, worker: WorkerProcess) -> None:
        """End a worker with an overdue request as soon as nobody waits for the others it runs."""
        if not worker.awaited:
            worker.kill(OVERDUE)
        elif not worker.retiring:
            worker.retire()
            self._timers[f"end of {worker.pid}"] = self._loop.call_later(_NEIGHBOURS_S, worker.kill, OVERDUE)
            self._see_who_is_left()

    # --- starting and starting again ----------------------------------------------------------------

    def _start_again(self, after: int) -> None:
        self._forget_timer(f"restart after {after}")
        self._start_one()

    def _start_one(self) -> None:
        try:
            worker = WorkerProcess(self.contract, self, slots=self._slots)
        except OSError as error:
            self._unstartable(error)
            return
        self._workers.append(worker)
        self._timers[f"start of {worker.pid}"] = self._loop.call_later(
            self.contract.startup_timeout_s, self._start_took_too_long, worker
        )

    def _unstartable(self, error: OSError) -> None:
        python = interpreter(self.contract)
        failure = StartFailure(
            f"no worker process can be started with {python}: {error.strerror or error}",
            "that interpreter is missing or damaged, or the machine is out of memory or processes",
            CauseClass.CANNOT_START,
        )
        if not self._complete:
            self._give_up(failure)
            return
        log.error("%s", failure.cause)
        self._failed_starts += 1
        self._timers["start"] = self._loop.call_later(self.contract.backoff_max_s, self._start_again, 0)

    def _start_took_too_long(self, worker: WorkerProcess) -> None:
        cause = f"init() had not finished after {self.contract.startup_timeout_s:g} s"
        worker.kill(f"was ended because {cause}")
        if not self._complete:
            remedy = "make init() faster, or raise the start-up timeout"
            self._give_up(StartFailure(cause, remedy, CauseClass.INIT_TIMED_OUT))

    def _give_up(self, failure: StartFailure) -> None:
        """Fail the first start: the replica's parent decides what comes next."""
        if self.failure is None:
            self._broken(failure)
            for worker in self._workers:
                worker.kill()

    def _see_who_is_left(self) -> None:
        if self.ready and not any(worker.ready for worker in self._workers):
            self.ready = False
            self._changed(self)

    def _tidy(self) -> None:
        for worker in self._workers:
            worker.tidy()
        self._timers["tidy"] = self._loop.call_later(_TIDY_EVERY_S, self._tidy)

    def _expired(self, job: Job) -> None:
        refusal = TimedOut("the request's time was over before it ran", begun=False)
        self._finished(job, None, refusal)

    def _forget_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def _failure_of_what_ran(worker: WorkerProcess, why: str) -> Exception:
    """Say what is told to those whose request ran: who is not to blame may try again."""
    if worker.cause == OVERDUE:
        return Interrupted(
            "the worker process was ended because another request on it ran past its time; try this one again"
        )
    return ScriptRaised(f"the worker process {why} while this request ran")
