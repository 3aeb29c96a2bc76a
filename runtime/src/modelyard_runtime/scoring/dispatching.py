"""Which worker process runs which job, and when: one by one, in batches, or lined up before a single worker.

A job counts as begun, and can no longer be withdrawn, from the moment its worker may run it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from modelyard_runtime.contract import Batching, StartContract
from modelyard_runtime.scoring.batching import Arrivals, wait_s
from modelyard_runtime.scoring.jobs import Job
from modelyard_runtime.scoring.worker_process import WorkerProcess

LINE = 8
"""How many jobs a single worker has before it, the one it runs included.

Each switch between front and worker then serves several requests. On one core (REST, 16 connections, a
multiplication of 4x3; busy machine, medians of 4): 1: 310 us of CPU a request, 8: 213; in a thread 146.
"""
OVERDUE = "was ended because a request on it ran past its time"
_LARGE_IN_LINE = 2
"""Large jobs lie in shared memory as soon as they are sent: no more of them than keeps the worker busy."""
_TAKEN_BACK_S = 0.1
"""A job taken back is dropped by its worker within so long, or was begun in the same instant; it then has
as long as any other."""


class Crew(NamedTuple):
    """The workers, how many jobs each may run at once, and all of them together."""

    workers: list[WorkerProcess]
    slots: int
    limit: int
    expired: Callable[[Job], None]
    """Called with a job whose time was over before it could begin."""

    def take(self, job: Job) -> bool:
        """Claim a job that is about to begin; False for one that was withdrawn, or is too late."""
        if not job.claim():
            return False
        if job.deadline > time.monotonic() and not job.answer.done():
            return True
        self.expired(job)
        return False


class Dispatch(Protocol):
    """What a pool needs of each way."""

    def add(self, job: Job) -> None:
        """Have a job run as soon as its turn comes."""

    def hand_out(self) -> None:
        """Give waiting jobs to workers that are free."""

    def done(self, worker: WorkerProcess, job: Job) -> bool:
        """Free a job's slot; False for a job that had been withdrawn, and is settled already."""

    def lost(self, worker: WorkerProcess, jobs: list[Job]) -> list[Job]:
        """Return those of a dead worker's jobs that had begun; the others wait again."""

    def withdraw(self, job: Job) -> None:
        """Hear that a job which has not begun is about to be claimed by the front."""

    def close(self) -> None:
        """Stop waiting."""


class OneByOne:
    """Each job to the least loaded worker that has a slot."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._taken = 0
        self._waiting: deque[Job] = deque()

    def add(self, job: Job) -> None:
        """Have a job run as soon as its turn comes."""
        if not self._waiting and (worker := self._free_worker()) is not None and job.claim():
            self._occupy(worker)
            worker.give(job)
        else:
            self._waiting.append(job)

    def hand_out(self) -> None:
        """Give waiting jobs to workers that are free."""
        while self._waiting and (worker := self._free_worker()) is not None:
            job = self._waiting.popleft()
            if self._crew.take(job):
                self._occupy(worker)
                worker.give(job)

    def done(self, worker: WorkerProcess, job: Job) -> bool:  # noqa: ARG002  # the other ways need to know which
        """Free a job's slot."""
        worker.load -= 1
        self._taken -= 1
        return True

    def lost(self, worker: WorkerProcess, jobs: list[Job]) -> list[Job]:
        """Return the jobs a dead worker ran: all it had."""
        self._taken -= worker.load
        return jobs

    def withdraw(self, job: Job) -> None:
        """Leave it where it waits: it is skipped when its turn comes."""

    def close(self) -> None:
        """Stop waiting."""
        self._waiting.clear()

    def _free_worker(self) -> WorkerProcess | None:
        workers, least, limit, _ = self._crew
        if self._taken >= limit:
            return None
        best = None
        for worker in workers:
            if worker.load < least and worker.ready:
                best, least = worker, worker.load
        return best

    def _occupy(self, worker: WorkerProcess) -> None:
        worker.load += 1
        self._taken += 1


class InBatches(OneByOne):
    """Jobs that came close together run as one; a batch takes one slot."""

    def __init__(self, crew: Crew, batching: Batching) -> None:
        super().__init__(crew)
        self._batching = batching
        self._arrivals = Arrivals()
        self._since: deque[float] = deque()
        """When each of the waiting came."""
        self._left: dict[Job, list[int]] = {}
        """How many of a job's batch are not done; its members share the list."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, job: Job) -> None:
        """Have a job run with those that wait, or that come in time."""
        now = time.monotonic()
        self._arrivals.note(now)
        self._waiting.append(job)
        self._since.append(now)
        self.hand_out()

    def hand_out(self) -> None:
        """Give batches to workers that are free, or wait a little for company."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and (worker := self._free_worker()) is not None:
            now = time.monotonic()
            pause_s = wait_s(
                self._batching,
                size=len(self._waiting),
                waited_s=now - self._since[0],
                gap_s=self._arrivals.gap_s,
                quiet_s=self._arrivals.quiet_s(now),
            )
            if pause_s:
                self._timer = asyncio.get_running_loop().call_later(pause_s, self.hand_out)
                return
            if jobs := self._gather():
                left = [len(jobs)]
                self._left.update((job, left) for job in jobs)
                self._occupy(worker)
                worker.give_together(jobs)

    def done(self, worker: WorkerProcess, job: Job) -> bool:
        """Free the batch's slot once the last of it is done."""
        left = self._left.pop(job)
        left[0] -= 1
        return left[0] > 0 or super().done(worker, job)

    def lost(self, worker: WorkerProcess, jobs: list[Job]) -> list[Job]:
        """Return the jobs a dead worker ran: all it had."""
        for job in jobs:
            self._left.pop(job, None)
        return super().lost(worker, jobs)

    def close(self) -> None:
        """Stop waiting."""
        super().close()
        self._since.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _gather(self) -> list[Job]:
        jobs: list[Job] = []
        while self._waiting and len(jobs) < self._batching.max_size:
            self._since.popleft()
            job = self._waiting.popleft()
            if self._crew.take(job):
                jobs.append(job)
        return jobs


class InLine(OneByOne):
    """One worker with one slot: the next jobs are sent before it is free, so that it never waits for the front.

    It runs them in the order in which they were sent, so the front knows which has begun: the first.
    """

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self._line: deque[Job] = deque()
        self._taken_back: set[Job] = set()

    def add(self, job: Job) -> None:
        """Have a job run as soon as its turn comes."""
        worker = self._worker()
        if worker is not None and not self._waiting and self._has_room(worker):
            self._send(worker, job)
        else:
            self._waiting.append(job)

    def hand_out(self) -> None:
        """Fill the line."""
        worker = self._worker()
        while worker is not None and self._waiting and self._has_room(worker):
            self._send(worker, self._waiting.popleft())

    def done(self, worker: WorkerProcess, job: Job) -> bool:
        """Let the next in line begin."""
        begun = self._line[0] is job
        self._line.remove(job)
        if begun and self._line:
            self._begin_next(worker)
        if job in self._taken_back:
            self._taken_back.discard(job)
            return False
        return begun or job.claim()

    def lost(self, worker: WorkerProcess, jobs: list[Job]) -> list[Job]:  # noqa: ARG002  # there is but one
        """Return the job that had begun; those behind it wait for the fresh worker."""
        begun = [job for job in jobs[:1] if job not in self._taken_back]
        self._waiting.extendleft(job for job in reversed(jobs[1:]) if job not in self._taken_back)
        self._line.clear()
        self._taken_back.clear()
        return begun

    def withdraw(self, job: Job) -> None:
        """Have the worker drop a job that it has and has not begun."""
        if not job.begun and job in self._line:
            self._taken_back.add(job)
            for worker in self._crew.workers:
                worker.take_back(job)

    def _worker(self) -> WorkerProcess | None:
        workers = self._crew.workers
        return workers[0] if workers and workers[0].ready else None

    def _has_room(self, worker: WorkerProcess) -> bool:
        return len(self._line) < LINE and worker.large_jobs < _LARGE_IN_LINE

    def _send(self, worker: WorkerProcess, job: Job) -> None:
        if self._line:
            if not job.begun:
                self._line.append(job)
                worker.give(job, ahead=True)
        elif self._crew.take(job):
            self._line.append(job)
            worker.give(job)

    def _begin_next(self, worker: WorkerProcess) -> None:
        first = self._line[0]
        if not first.claim():
            time_left_s = max(_TAKEN_BACK_S, first.limit - time.monotonic())
            asyncio.get_running_loop().call_later(time_left_s, self._end_if_begun, worker, first)

    def _end_if_begun(self, worker: WorkerProcess, job: Job) -> None:
        if self._line and self._line[0] is job and worker.ready:
            worker.kill(OVERDUE)


def dispatch_for(contract: StartContract, crew: Crew) -> Dispatch:
    """Return the way that fits a contract."""
    if contract.batching.max_size > 1:
        return InBatches(crew, contract.batching)
    if contract.workers == 1 and crew.limit == 1:
        return InLine(crew)
    return OneByOne(crew)
