"""The loop of a worker process: read a request, ask the script, write the answer.

With one slot everything, `init()` too, happens on the main thread, where some native libraries insist on
being used. With more, the main thread reads and as many threads as there are slots run the script.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Sequence, Set, Union

from .explaining import show
from .failures import Failure, ResultUnusable, ScriptRaised
from .frames import (
    AHEAD,
    CANCEL,
    CHUNK,
    CHUNKS,
    CREDIT,
    DROP,
    END,
    FAILED,
    MORE,
    PART,
    PARTS,
    RELEASE,
    TRIM,
    WITHDRAWN,
    Field,
    Frame,
    FrameError,
    Plain,
)
from .link import FrontGone, Link, segment_of
from .messages import Message, read_request, write_failure, write_head, write_reply, write_tensors
from .replies import InferredStream, Reply, StreamReply
from .requests import Request
from .script import Script

EXIT_GONE = 0
EXIT_BROKEN_LINE = 70
"""The front wrote what is no frame."""


class _Work:
    """A request, where its tensors lie, and the credit of its answer if that is a stream."""

    __slots__ = ("_request", "cancelled", "credit", "number", "segment")

    def __init__(self, number: int, segment: int, request: Request, credit: int) -> None:
        self.number = number
        self.segment = segment
        self._request = [request]
        self.credit = credit
        self.cancelled = False

    def take(self) -> Request:
        """Return the request, once: whoever keeps it keeps views of its tensors alive."""
        return self._request.pop()


class _Detached(NamedTuple):
    """A message of which no field is a view of the front's memory."""

    kind: int
    fields: Sequence[Field]


Outcome = Union[Reply, Failure]


class Serving:
    """Requests of one front, answered by one script."""

    def __init__(self, link: Link, script: Script, *, depth: int) -> None:
        self._link = link
        self._script = script
        self._depth = depth
        self._batch: List[_Work] = []
        self._streams: Dict[int, _Work] = {}
        self._later: Deque[Frame] = deque()
        """Requests that came, ahead of their time, while a stream was written."""
        self._cancelled: Set[int] = set()
        self._control: Dict[int, Callable[[Frame], None]] = {
            CREDIT: self._credit,
            CANCEL: self._cancel,
            RELEASE: link.take_back,
            DROP: link.drop,
            TRIM: link.trim,
        }

    def run(self) -> int:
        """Serve until the front goes; returns the exit code."""
        try:
            while True:
                self._handle(self._later.popleft() if self._later else self._link.next())
        except FrontGone:
            return EXIT_GONE
        except FrameError as error:
            sys.stderr.write("the worker's line to the front is broken: %s\n" % error)
            return EXIT_BROKEN_LINE

    def _handle(self, frame: Frame) -> None:
        control = self._control.get(frame.kind)
        if control is not None:
            control(frame)
        elif frame.flags & AHEAD and self._is_cancelled(frame.number):
            self._link.send(WITHDRAWN, frame.number, [])
        else:
            self._begin(frame)

    def _begin(self, frame: Frame) -> None:
        request = read_request(frame, self._link.inbox.read)
        self._batch.append(_Work(frame.number, segment_of(frame), request, self._depth))
        del request
        if not frame.flags & MORE:
            batch, self._batch = self._batch, []
            self._perform(batch)

    def _is_cancelled(self, number: int) -> bool:
        if number in self._cancelled:
            self._cancelled.discard(number)
            return True
        return self._link.is_cancelled(number)

    def _perform(self, batch: List[_Work]) -> None:
        self._answer(batch)

    def _answer(self, batch: List[_Work]) -> None:
        outcomes = self._ask(batch) if len(batch) == 1 else self._ask_all(batch)
        if not any(work.segment for work in batch):
            for work, outcome in zip(batch, outcomes):  # Python 3.8 knows no strict=
                self._reply(work, outcome)
            return
        messages = [self._detached(work, outcome) for work, outcome in zip(batch, outcomes)]
        outcomes.clear()
        for work, message in zip(batch, messages):
            if message is not None:
                flags = self._link.fate(work.segment)
                self._link.send_detached(message.kind, work.number, message.fields, flags)

    def _ask(self, batch: List[_Work]) -> List[Outcome]:
        request = batch[0].take()
        try:
            return [self._script.answer(request)]
        except Failure as failure:
            return [failure.with_traceback(None)]
        except BaseException as error:  # noqa: BLE001  # whatever the user's code raises is its answer
            return [_raised(error)]

    def _ask_all(self, batch: List[_Work]) -> List[Outcome]:
        requests = [work.take() for work in batch]
        try:
            return list(self._script.answer_batch(requests))
        except BaseException as error:  # noqa: BLE001  # the same
            return [_raised(error)] * len(batch)

    def _reply(self, work: _Work, outcome: Outcome) -> None:
        if type(outcome) is StreamReply or type(outcome) is InferredStream:
            self._pour(work, outcome)
            return
        try:
            kind, fields = _message(outcome)
            self._link.send(kind, work.number, fields)
        except (FrameError, OSError) as error:
            self._link.send(FAILED, work.number, _uncarried(error))

    def _detached(self, work: _Work, outcome: Outcome) -> _Detached | None:
        if type(outcome) is StreamReply or type(outcome) is InferredStream:
            self._pour(work, outcome)
            return None
        try:
            kind, fields = _message(outcome)
            return _Detached(kind, self._link.detach(fields))
        except (FrameError, OSError) as error:
            return _Detached(FAILED, _uncarried(error))

    # --- streams ----------------------------------------------------------------------------

    def _pour(self, work: _Work, reply: Union[StreamReply, InferredStream]) -> None:
        self._streams[work.number] = work
        if type(reply) is StreamReply:
            self._link.send(CHUNKS, work.number, write_head(reply.status, reply.headers, reply.elapsed_ms))
        else:
            self._link.send(PARTS, work.number, [])
        failure = self._pieces(work, reply[-1], chunks=type(reply) is StreamReply)
        del reply, self._streams[work.number]
        fields = [] if failure is None else write_failure(failure)
        del failure
        self._link.send(END, work.number, fields, self._link.fate(work.segment))

    def _pieces(self, work: _Work, pieces: Any, *, chunks: bool) -> Failure | None:
        try:
            for piece in pieces:
                if not self._take_credit(work):
                    break
                self._link.send(
                    CHUNK if chunks else PART, work.number, [piece] if chunks else write_tensors(piece)
                )
        except FrontGone:
            raise
        except Failure as failure:
            return failure
        except (FrameError, OSError) as error:
            return ResultUnusable("a piece of the answer cannot be carried: %s" % error)
        except BaseException as error:  # noqa: BLE001  # the user's generator
            return _raised(error)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        return None

    def _take_credit(self, work: _Work) -> bool:
        """Wait until the reader wants another piece; False when it has left."""
        while not work.cancelled and (not work.credit or self._link.waiting()):
            frame = self._link.next()
            control = self._control.get(frame.kind)
            if control is None:
                self._later.append(frame)
            else:
                control(frame)
        work.credit -= 1
        return not work.cancelled

    # --- what the front says beside requests ---------------------------------------------------

    def _credit(self, frame: Frame) -> None:
        work = self._streams.get(frame.number)
        if work is not None:
            work.credit += frame.flags

    def _cancel(self, frame: Frame) -> None:
        work = self._streams.get(frame.number)
        if work is not None:
            work.cancelled = True
        elif any(later.number == frame.number for later in self._later):
            self._cancelled.add(frame.number)


class ThreadedServing(Serving):
    """The same with several slots: the main thread reads, `slots` threads run the script."""

    def __init__(self, link: Link, script: Script, *, depth: int, slots: int) -> None:
        super().__init__(link, script, depth=depth)
        self._batches: queue.SimpleQueue[List[_Work]] = queue.SimpleQueue()
        self._credited = threading.Condition()
        for number in range(slots):
            threading.Thread(target=self._live, name="worker-%d" % number, daemon=True).start()

    def _perform(self, batch: List[_Work]) -> None:
        self._batches.put(batch)

    def _live(self) -> None:
        while True:
            try:
                self._answer(self._batches.get())
            except FrontGone:
                return

    def _take_credit(self, work: _Work) -> bool:
        with self._credited:
            self._credited.wait_for(lambda: work.cancelled or work.credit > 0)
            work.credit -= 1
            return not work.cancelled

    def _credit(self, frame: Frame) -> None:
        with self._credited:
            super()._credit(frame)
            self._credited.notify_all()

    def _cancel(self, frame: Frame) -> None:
        with self._credited:
            super()._cancel(frame)
            self._credited.notify_all()


def _message(outcome: Outcome) -> Message:
    if isinstance(outcome, Failure):
        return Message(FAILED, write_failure(outcome))
    return write_reply(outcome)


def _raised(error: BaseException) -> Failure:
    show(error)
    return ScriptRaised("%s in the scoring script" % type(error).__name__)


def _uncarried(error: Exception) -> list[Plain]:
    return write_failure(ResultUnusable("the answer cannot be carried to the client: %s" % error))
