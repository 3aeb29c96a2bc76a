"""A pool: the workers of one loaded script, and who may run on them, who waits, who is turned away.

Lives on the event loop alone, so it needs no lock; the one thing shared with workers is `Job.claim`.
A request that finds a slot costs no timer and no task: one timer serves the whole pool, armed for the
next moment at which anything can expire.
"""

from __future__ import annotations

import abc
import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

from modelyard_runtime.causes import StartFailure
from modelyard_runtime.contract import StartContract
from modelyard_runtime.scoring.jobs import DrainRate, Gone, Job
from modelyard_runtime.scoring.refusals import Left, Overloaded, TimedOut, Unready
from modelyard_runtime.scoring.streams import Channel
from modelyard_runtime.worker.description import Description
from modelyard_runtime.worker.requests import Request

_WATCH_AFTER_S = 0.1
"""A place in the queue is mostly held for less: only then is it worth a task that sees the client leave."""
_STOP_S = 1.0
"""How long a worker may take to stop a stream that it was told to stop."""
_EARLY_S = 0.002
"""uvloop's clock has milliseconds: a timer may come this much before its time."""


class Pool(abc.ABC):
    """Shared by thread and process workers, which say how a job reaches a worker."""

    def __init__(self, contract: StartContract, changed: Callable[[Pool], None]) -> None:
        self.contract = contract
        self._changed = changed
        self.ready = False
        self.failure: StartFailure | None = None
        self.description: Description | None = None
        self._room = contract.max_concurrent * contract.batching.max_size
        self._capacity = self._room + contract.max_queued
        self._patience_s = contract.queue_wait_s
        self._pending = 0
        self._open: set[Job] = set()
        self._rate = DrainRate()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf
        self._watches: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop

    @property
    def running(self) -> int:
        """How many requests a worker has, or will have at its next breath."""
        return min(self._pending, self._room)

    @property
    def queued(self) -> int:
        """How many wait for a slot."""
        return max(0, self._pending - self._room)

    def start(self) -> None:
        """Load the script in its workers; returns at once, `ready` or `failure` follow."""
        self._loop = asyncio.get_running_loop()
        self._begin()

    def submit(
        self, request: Request, deadline: float, gone: Gone, *, caller_deadline: float = math.inf
    ) -> asyncio.Future[Any]:
        """Hand a request over; the answer's future gets a reply, a `Failure` or a `Refusal`.

        `deadline` ends the work, an earlier one of the caller's own only the waiting for it.
        Raises `Overloaded` and `Unready` at once.
        """
        if self._pending >= self._capacity:
            raise self._overloaded(
                f"all {self._room} slots are busy and all {self._capacity - self._room} places in the queue taken"
            )
        if not self.ready:
            raise Unready(self.failure.cause if self.failure is not None else "init() has not finished yet")
        job = Job(request, self._loop.create_future(), min(deadline, caller_deadline), deadline)
        self._pending += 1
        self._open.add(job)
        if self._pending == self._room:
            self._rate.full()
        elif self._pending > self._room:
            self._queue(job, gone)
        if job.looks_at < self._alarm_at:
            self._set_alarm(job.looks_at)
        self._give(job)
        return job.answer

    async def close(self) -> None:
        """End the workers; who still waits is told."""
        self.ready = False
        if self._alarm is not None:
            self._alarm.cancel()
        for watch in self._watches:
            watch.cancel()
        for job in list(self._open):
            self._settle(job, failure=Unready("this replica has stopped"))
        await self._end()

    # --- what kinds of workers differ in ---------------------------------------------------

    @abc.abstractmethod
    def _begin(self) -> None:
        """Start loading; end with `_loaded` or `_broken`."""

    @abc.abstractmethod
    def _give(self, job: Job) -> None:
        """Let the next free worker have the job, first come first served; it must `claim` it first."""

    @abc.abstractmethod
    def _overdue(self, job: Job) -> None:
        """A job that runs has passed its limit; its caller has been told."""

    @abc.abstractmethod
    async def _end(self) -> None:
        """Stop the workers."""

    # --- what workers say, on the event loop ------------------------------------------------

    def _loaded(self, description: Description) -> None:
        self.description, self.failure, self.ready = description, None, True
        self._changed(self)

    def _broken(self, failure: StartFailure) -> None:
        self.failure, self.ready = failure, False
        self._changed(self)

    def _finished(self, job: Job, reply: Any, failure: BaseException | None) -> None:
        """A worker is done with a job, well or badly; its slot is free."""
        if self._pending >= self._room:
            self._rate.answered()
        self._drop(job)
        if job.answer.done():
            return
        if failure is None:
            job.answer.set_result(reply)
        else:
            job.answer.set_exception(failure)

    def _streaming(self, job: Job, stream: Any) -> None:
        """The answer comes in pieces: the caller gets it now, the slot stays taken until `_finished`."""
        job.channel = stream[-1]
        if job.answer.done():
            stream[-1].close()
        else:
            job.answer.set_result(stream)
        job.looks_at = time.monotonic() + self.contract.timeout_s
        if job.looks_at < self._alarm_at:
            self._set_alarm(job.looks_at)

    # --- waiting and expiring -----------------------------------------------------------------

    def _queue(self, job: Job, gone: Gone) -> None:
        now = time.monotonic()
        job.gone = gone
        job.waits_until = min(job.deadline, now + self._patience_s)
        job.looks_at = min(job.waits_until, now + _WATCH_AFTER_S)

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_later(max(0.0, at - time.monotonic()), self._look)

    def _look(self) -> None:
        self._alarm, self._alarm_at = None, math.inf
        now = time.monotonic() + _EARLY_S
        following = math.inf
        for job in list(self._open):
            if job.looks_at <= now:
                self._inspect(job, now)
            following = min(following, job.looks_at)
        if following < math.inf:
            self._set_alarm(following)

    def _inspect(self, job: Job, now: float) -> None:
        if job.channel is not None:
            self._inspect_stream(job, job.channel, now)
        elif job.begun:
            self._inspect_run(job, now)
        elif job.answer.done():
            self._withdraw(job, Left())
        elif job.deadline <= now:
            self._withdraw(job, TimedOut("the request's time was over before a slot was free", begun=False))
        elif job.waits_until <= now:
            self._withdraw(job, self._overloaded(f"no slot became free within {self._patience_s:g} s"))
        else:
            job.looks_at = job.waits_until
            self._watch(job)

    def _inspect_run(self, job: Job, now: float) -> None:
        if job.deadline > now:
            job.looks_at = job.deadline
            return
        self._settle(job, failure=TimedOut("the model did not answer in time", begun=True))
        if job.limit > now:
            job.looks_at = job.limit
        else:
            job.looks_at = math.inf
            self._overdue(job)

    def _inspect_stream(self, job: Job, channel: Channel, now: float) -> None:
        """A stream may last as long as pieces move: one that stands still is given up, then its worker."""
        limit_s = self.contract.timeout_s
        if now < channel.moved_at + limit_s:
            job.looks_at = channel.moved_at + limit_s
        elif channel.closed:
            job.looks_at = math.inf
            self._overdue(job)
        else:
            channel.give_up(TimedOut(f"no piece of the answer moved for {limit_s:g} s", begun=True))
            job.looks_at = now + _STOP_S

    def _withdraw(self, job: Job, refusal: Exception) -> None:
        if job.claim():
            self._drop(job)
            self._settle(job, failure=refusal)

    def _drop(self, job: Job) -> None:
        self._open.discard(job)
        self._pending -= 1
        if self._pending == self._room - 1:
            self._rate.free()

    def _watch(self, job: Job) -> None:
        watch = self._loop.create_task(self._until_gone(job))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        job.answer.add_done_callback(lambda _: watch.cancel())

    async def _until_gone(self, job: Job) -> None:
        if job.gone is not None:
            await job.gone()
        self._withdraw(job, Left("the client left"))

    def _settle(self, job: Job, *, failure: Exception) -> None:
        if not job.answer.done():
            job.answer.set_exception(failure)

    def _overloaded(self, message: str) -> Overloaded:
        return Overloaded(message, retry_after_s=self._rate.seconds_for(self.queued or 1))
