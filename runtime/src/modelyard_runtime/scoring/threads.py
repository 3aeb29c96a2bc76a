"""Workers that are threads of this process: model code runs beside the event loop, never on it.

`init()` is the first job of the first thread, so a script with one slot keeps one thread for life.
"""

from __future__ import annotations

import gc
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from modelyard_runtime.causes import StartFailure
from modelyard_runtime.contract import StartContract
from modelyard_runtime.scoring.batching import Arrivals, wait_s
from modelyard_runtime.scoring.jobs import Job
from modelyard_runtime.scoring.pool import Pool
from modelyard_runtime.scoring.refusals import TimedOut
from modelyard_runtime.scoring.streams import DEPTH, Channel, InferStream, ScoreStream
from modelyard_runtime.worker.failures import Failure, ScriptRaised
from modelyard_runtime.worker.replies import InferredStream, StreamReply
from modelyard_runtime.worker.script import Script, exit_code_of, explain, load

log = logging.getLogger(__name__)


class ThreadPool(Pool):
    """`max_concurrent` threads that take jobs from one queue."""

    def __init__(self, contract: StartContract, changed: Callable[[Pool], None]) -> None:
        super().__init__(contract, changed)
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._arrivals = Arrivals()
        self._script: Script

    def _begin(self) -> None:
        threading.Thread(target=self._live, name="worker-0", daemon=True).start()

    def _give(self, job: Job) -> None:
        self._inbox.put(job)

    def _overdue(self, job: Job) -> None:
        """Nothing stops a thread: the slot is free again when its `run()` returns."""

    async def _end(self) -> None:
        for _ in range(self.contract.max_concurrent):
            self._inbox.put(None)

    # --- on the threads -----------------------------------------------------------------------

    def _live(self) -> None:
        contract = self.contract
        batching = contract.batching.max_size > 1
        started = time.monotonic()
        doing = "loading the script"
        try:
            self._script = load(contract.code_dir, contract.entry, batching=batching, compat=contract.compat)
            doing = "init()"
            self._script.init()
        except BaseException as error:  # a script may raise anything: it is why it cannot serve
            log.exception("%s failed", doing)
            cause, remedy = explain(error, contract.code_dir, doing)
            self._tell(self._broken, StartFailure(cause, remedy, exit_code_of(error, doing)))
            return
        log.info("init() finished in %.2f s", time.monotonic() - started)
        gc.collect()
        gc.freeze()  # the model stays for good: no collection need walk it again
        self._tell(self._loaded, self._script.description)
        work = self._work_in_batches if batching else self._work
        for number in range(1, contract.max_concurrent):
            threading.Thread(target=work, name=f"worker-{number}", daemon=True).start()
        work()

    def _take(self, job: Job) -> bool:
        if not job.claim():
            return False
        if job.deadline > time.monotonic():
            return True
        self._tell(
            self._finished, job, None, TimedOut("the request's time was over before it ran", begun=False)
        )
        return False

    def _work(self) -> None:
        answer, inbox = self._script.answer, self._inbox
        while (job := inbox.get()) is not None:
            if self._take(job):
                try:
                    outcome: Any = answer(job.request)
                except BaseException as error:  # noqa: BLE001  # whatever the user's code raises is its answer
                    outcome = error
                self._hand_back(job, outcome)

    def _work_in_batches(self) -> None:
        while (jobs := self._gather()) is not None:
            taken = [job for job in jobs if self._take(job)]
            try:
                outcomes: list[Any] = (
                    self._script.answer_batch([job.request for job in taken]) if taken else []
                )
            except BaseException as error:  # noqa: BLE001  # the same
                outcomes = [error] * len(taken)
            for job, outcome in zip(taken, outcomes, strict=True):
                self._hand_back(job, outcome)

    def _gather(self) -> list[Job] | None:
        first = self._inbox.get()
        if first is None:
            return None
        jobs, began, batching = [first], time.monotonic(), self.contract.batching
        self._arrivals.note(began)
        while True:
            now = time.monotonic()
            pause = wait_s(
                batching,
                size=len(jobs),
                waited_s=now - began,
                gap_s=self._arrivals.gap_s,
                quiet_s=self._arrivals.quiet_s(now),
            )
            try:
                job = self._inbox.get(timeout=pause) if pause else self._inbox.get_nowait()
            except queue.Empty:
                return jobs
            if job is None:
                self._inbox.put(None)
                return jobs
            self._arrivals.note(time.monotonic())
            jobs.append(job)
            if len(jobs) >= batching.max_size:
                return jobs

    def _hand_back(self, job: Job, outcome: Any) -> None:
        if isinstance(outcome, BaseException):
            self._tell(self._finished, job, None, _failure_of(outcome))
        elif type(outcome) is StreamReply or type(outcome) is InferredStream:
            self._pour(job, outcome)
        else:
            self._tell(self._finished, job, outcome, None)

    def _pour(self, job: Job, reply: StreamReply | InferredStream) -> None:
        credit = threading.Semaphore(DEPTH)
        channel = Channel(taken=credit.release, left=credit.release)
        self._tell(self._streaming, job, _front_of(reply, channel))
        pieces: Iterator[Any] = reply[-1]
        failure: BaseException | None = None
        try:
            for piece in pieces:
                credit.acquire()
                if channel.closed:
                    break
                self._tell(channel.feed, piece)
        except BaseException as error:  # noqa: BLE001  # the user's generator
            failure = _failure_of(error)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        self._tell(channel.end, failure)
        self._tell(self._finished, job, None, failure)

    def _tell(self, listener: Any, *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(listener, *arguments)
        except RuntimeError:  # the loop has closed: nobody listens any more
            log.debug("an answer came after the end")


def _failure_of(error: BaseException) -> Failure:
    if isinstance(error, Failure):
        return error
    log.error("the worker failed", exc_info=error)
    return ScriptRaised(f"{type(error).__name__} in the worker")


def _front_of(reply: StreamReply | InferredStream, channel: Channel) -> ScoreStream | InferStream:
    """Return a stream as the front sees it."""
    if isinstance(reply, StreamReply):
        return ScoreStream(reply.status, reply.headers, reply.elapsed_ms, channel)
    return InferStream(channel)
