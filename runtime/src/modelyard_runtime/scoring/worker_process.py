"""One worker process as the front sees it: requests in, replies out, its death noticed at once.

Lives on the event loop, which watches the process's pidfd too: a worker costs the front no thread where the
kernel has pidfds. A worker that writes what is no frame is killed like one that has crashed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import threading
from typing import Any, Protocol

from modelyard_runtime.causes import StartFailure
from modelyard_runtime.contract import StartContract
from modelyard_runtime.scoring.jobs import Job
from modelyard_runtime.scoring.line import Credit, Line, batch
from modelyard_runtime.scoring.spawning import kill_group, spawn
from modelyard_runtime.scoring.streams import DEPTH, Channel, InferStream, ScoreStream
from modelyard_runtime.worker import frames as kinds
from modelyard_runtime.worker.description import Description
from modelyard_runtime.worker.failures import Failure, ResultUnusable
from modelyard_runtime.worker.frames import Frame, FrameError
from modelyard_runtime.worker.messages import (
    read_failure,
    read_head,
    read_reply,
    read_tensors,
    write_request,
)

log = logging.getLogger(__name__)

_NUMBERS = 1 << 32
_END_GRACE_S = 0.5
"""A process that dies closes its sockets a moment before its status can be read."""
STOP_GRACE_S = 2.0
"""How long a worker that is told to end may take for its own atexit work."""


class Owner(Protocol):
    """What a worker process tells its pool, always on the event loop."""

    def worker_ready(self, worker: WorkerProcess, description: Description) -> None:
        """Hear that `init()` is done."""

    def worker_broken(self, worker: WorkerProcess, failure: StartFailure) -> None:
        """Hear that the script cannot serve; the process is about to end."""

    def worker_answered(self, worker: WorkerProcess, job: Job, reply: Any, failure: Exception | None) -> None:
        """Hear that a job is done; its slot is free."""

    def worker_streams(self, job: Job, stream: ScoreStream | InferStream) -> None:
        """Hear that a job's answer comes in pieces."""

    def worker_ended(self, worker: WorkerProcess, status: int) -> None:
        """Hear that the process is gone; `worker.abandon` says what it was running."""


class WorkerProcess:
    """`jobs` are those it runs, by number. Raises OSError where no process can be started."""

    def __init__(self, contract: StartContract, owner: Owner, *, slots: int) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._process, channel, handles = spawn(contract)
        self._line = Line(
            channel, handles, heard=self._hear, broken=self._kill_because, hung_up=self._await_end
        )
        self._streams: dict[int, Channel] = {}
        self._number = 0
        self._headers = True
        self._over = self._loop.create_future()
        self.jobs: dict[int, Job] = {}
        self.load = 0
        """Slots taken."""
        self.ready = False
        self.was_ready = False
        self.retiring = False
        """It gets no more jobs, and is ended once nobody waits for those it has."""
        self.cause = ""
        """Why it was ended, where that was the pool's will."""
        self._stopping = False
        self._watch()
        setup = {
            "code_dir": contract.code_dir,
            "entry": contract.entry,
            "batching": contract.batching.max_size > 1,
            "compat": contract.compat,
            "slots": slots,
            "depth": DEPTH,
        }
        self._line.send(kinds.SETUP, 0, [json.dumps(setup).encode()])

    @property
    def pid(self) -> int:
        """The process, and its group."""
        return self._process.pid

    @property
    def large_jobs(self) -> int:
        """How many of its jobs take shared memory."""
        return self._line.lent

    def give(self, job: Job, *, ahead: bool = False) -> None:
        """Have it run one job; `ahead` of the time when it is free, so that it need not wait for the front."""
        packed = self._packed(job, kinds.AHEAD if ahead else 0)
        if not packed:
            return
        if ahead:
            self._line.write_soon(packed)
        else:
            self._line.write(packed)

    def give_together(self, jobs: list[Job]) -> None:
        """Have it run these jobs as one batch."""
        packed = [data for job in jobs if (data := self._packed(job, kinds.MORE))]
        if packed:
            self._line.write(batch(packed))

    def take_back(self, job: Job) -> None:
        """Ask it not to run a job that was sent ahead; it still answers, that it will not."""
        for number, one in self.jobs.items():
            if one is job:
                self._line.send(kinds.CANCEL, number, [])

    def kill(self, cause: str = "") -> None:
        """End it, and what it started, now; the first cause given is the one that is told."""
        self.ready = False
        self.cause = self.cause or cause
        kill_group(self.pid)

    def runs(self, job: Job) -> bool:
        """Whether it has this job."""
        return job in self.jobs.values()

    @property
    def awaited(self) -> bool:
        """Whether anybody waits for what it runs."""
        return any(job.awaited for job in self.jobs.values())

    def retire(self) -> None:
        """Let it finish what is awaited, and get nothing new."""
        self.ready, self.retiring = False, True

    def tidy(self) -> None:
        """Give back memory that nobody needed lately."""
        if self.ready:
            self._line.tidy()

    async def stop(self) -> None:
        """End it: politely, then for certain."""
        self.ready, self._stopping = False, True
        self._line.close()
        _, late = await asyncio.wait([self._over], timeout=STOP_GRACE_S)
        if late:
            self.kill()
            await self._over

    # --- requests and replies -----------------------------------------------------------------

    def _packed(self, job: Job, flags: int) -> bytes:
        self._number = number = (self._number + 1) % _NUMBERS
        self.jobs[number] = job
        try:
            kind, fields = write_request(job.request, headers=self._headers)
            return self._line.pack(kind, number, fields, flags)
        except (FrameError, OSError) as error:
            failure = ResultUnusable(f"the request cannot be carried to the worker: {error}")
            self._loop.call_soon(self._answered, number, None, failure)
            return b""

    def _answered(self, number: int, reply: Any, failure: Exception | None) -> None:
        job = self.jobs.pop(number, None)
        if job is not None:
            self._owner.worker_answered(self, job, reply, failure)

    def _hear(self, frame: Frame) -> None:
        if frame.number not in self.jobs:
            if frame.number:
                raise FrameError(f"an answer to request {frame.number}, which it was not asked")
            self._hear_of_itself(frame)
        elif frame.kind in _WHOLE:
            self._line.settle(frame)
            reply = read_reply(frame, self._line.inbox.read)
            if isinstance(reply, Failure):
                self._answered(frame.number, None, reply)
            else:
                self._answered(frame.number, reply, None)
        elif frame.kind == kinds.WITHDRAWN:
            self._line.settle(frame)
            self._answered(frame.number, None, None)
        else:
            self._hear_a_part(frame)

    def _hear_of_itself(self, frame: Frame) -> None:
        try:
            told = json.loads(frame.fields[0])  # type: ignore[arg-type]  # never in shared memory
            if frame.kind == kinds.READY:
                description = Description(**told["description"])
                log.info("init() finished in %.2f s in worker %d", told["took_s"], self.pid)
                self.ready = self.was_ready = True
                self._headers = description.needs_headers
                self._owner.worker_ready(self, description)
                return
            if frame.kind == kinds.BROKEN:
                self._owner.worker_broken(self, StartFailure(*told))
                return
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise FrameError("it says nothing sensible about itself") from error
        raise FrameError(f"kind {frame.kind} is no message from a worker")

    # --- streams ------------------------------------------------------------------------------

    def _hear_a_part(self, frame: Frame) -> None:
        kind, number, read = frame.kind, frame.number, self._line.inbox.read
        if kind in (kinds.CHUNKS, kinds.PARTS):
            self._open_stream(frame)
            return
        channel = self._streams.get(number)
        if channel is None:
            raise FrameError("a part of a stream that has not begun")
        if kind == kinds.CHUNK and len(frame.fields) == 1:
            channel.feed(bytes(read(frame.fields[0])))
        elif kind == kinds.PART:
            channel.feed(read_tensors(frame.fields, read))
        elif kind == kinds.END:
            self._line.settle(frame)
            del self._streams[number]
            channel.end(read_failure(frame.fields, read) if frame.fields else None)
            self._answered(number, None, None)
        else:
            raise FrameError(f"kind {kind} is no part of a stream")

    def _open_stream(self, frame: Frame) -> None:
        number = frame.number
        credit = Credit(self._line, number)
        channel = Channel(taken=credit.taken, left=credit.left)
        self._streams[number] = channel
        if frame.kind == kinds.CHUNKS:
            stream: ScoreStream | InferStream = ScoreStream(
                *read_head(frame.fields, self._line.inbox.read), channel
            )
        else:
            stream = InferStream(channel)
        self._owner.worker_streams(self.jobs[number], stream)

    # --- its end ------------------------------------------------------------------------------

    def _await_end(self) -> None:
        """Let a process that has closed its end say how it ended; one that lives on is killed."""
        self.ready = False
        self._loop.call_later(_END_GRACE_S, self._kill_because, "it closed its line")

    def _kill_because(self, why: str) -> None:
        if not self._stopping and not self._over.done():
            self.kill(f"was ended because {why}")

    def _watch(self) -> None:
        try:
            pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # macOS, or a kernel before 5.3
            threading.Thread(target=self._wait, name=f"wait-{self.pid}", daemon=True).start()
        else:
            self._loop.add_reader(pidfd, self._gone, pidfd)

    def _wait(self) -> None:
        self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._gone, -1)

    def _gone(self, pidfd: int) -> None:
        if pidfd >= 0:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)
        status = self._process.wait()
        self._line.drain()
        self._line.close()
        kill_group(self.pid)
        self.ready = False
        self._over.set_result(None)
        self._owner.worker_ended(self, status)

    def abandon(self, failure: Exception) -> list[Job]:
        """Return the jobs it left undone; the streams among them end with the failure."""
        jobs = list(self.jobs.values())
        self.jobs.clear()
        for channel in self._streams.values():
            channel.end(failure)
        self._streams.clear()
        return jobs


_WHOLE = frozenset((kinds.SCORED, kinds.HTTP, kinds.INFERRED, kinds.FAILED))
