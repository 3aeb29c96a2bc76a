"""What a person at a terminal, or a program that reads JSON lines, is told of a replica started by hand.

The script's output and the log go to standard error as they come; events go to standard output.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, TextIO

from modelyard_runtime.causes import CauseClass
from modelyard_runtime.contract import StartContract
from modelyard_runtime.replica.lifecycle import DrainAsked, Event, Life, Phase, StopAsked, WarmedUp
from modelyard_runtime.replica.logs import copying


class TerminalLog:
    """A log that is the terminal."""

    def __init__(self, sink: BinaryIO | None = None) -> None:
        self._sink = sink if sink is not None else sys.stderr.buffer
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Append output as it came; a terminal that has gone loses it."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._sink.write(data)
            self._sink.flush()

    def say(self, text: str) -> None:
        """Add a line of the parent's own."""
        self.write(f"modelyard-replica: {text}\n".encode())

    def follow(self, stream: BinaryIO) -> threading.Thread:
        """Copy a server's output until it ends, on a thread."""
        return copying(stream, self.write)

    def close(self) -> None:
        """Do nothing: the terminal is not ours to close."""


class Teller:
    """Writes events: one JSON document a line for a program; for a person, words that the log has not."""

    def __init__(self, *, as_json: bool, sink: TextIO | None = None) -> None:
        self._as_json = as_json
        self._sink = sink if sink is not None else sys.stdout

    def tell(self, event: str, words: str = "", **facts: Any) -> None:
        """Tell one event."""
        text = json.dumps({"event": event, **facts}) if self._as_json else words
        if not text:
            return
        with contextlib.suppress(OSError, ValueError):  # whoever read along has gone
            self._sink.write(text + "\n")
            self._sink.flush()


class ByHandWatcher:
    """Follows one replica: tells what happens, gives up when it cannot start, ends after a check.

    A server that dies after it was ready is started again, as under the engine.
    """

    def __init__(
        self,
        contract: StartContract,
        teller: Teller,
        *,
        check: bool,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._contract = contract
        self._teller = teller
        self._check = check
        self._now = now
        self._began_s = now()
        self._was_ready = False
        self.failure: CauseClass | None = None
        """Why it could not start, once it could not."""

    def saw(self, event: Event, before: Life, after: Life) -> Sequence[Event]:
        """Tell what changed, and ask for the end where there is nothing left to do."""
        if isinstance(event, WarmedUp) and not event.cause:
            self._tell_answer(event.answer)
        if after.phase is before.phase:
            return ()
        if after.phase is Phase.READY:
            return self._ready()
        if after.phase is Phase.FAILED:
            return self._failed(after)
        if after.phase is Phase.DRAINING:
            self._teller.tell("draining", "Ctrl-C again ends at once")
        if after.cause_class is CauseClass.REQUESTS_CUT:
            self._teller.tell("cut", after.cause, cause=after.cause, remedy=after.remedy)
        return ()

    def _ready(self) -> Sequence[Event]:
        first, self._was_ready = not self._was_ready, True
        after_s = round(self._now() - self._began_s, 3)
        if self._check:
            self._teller.tell("loaded", f"loaded in {after_s:g} s", after_s=after_s)
            return (DrainAsked(stop=True),)
        urls = addresses(self._contract)
        lines = [f"ready after {after_s:g} s" if first else "ready again"]
        lines += [f"  {name:<8} {url}" for name, url in urls.items()] if first else []
        self._teller.tell("ready", "\n".join(lines), after_s=after_s, urls=urls)
        return ()

    def _failed(self, life: Life) -> Sequence[Event]:
        kind = life.cause_class or CauseClass.PROCESS_DIED
        gives_up = not self._was_ready
        self._teller.tell(
            "failed",
            cause=life.cause,
            remedy=life.remedy,
            cause_class=kind.label,
            exit_code=int(kind),
            retries=not gives_up,
        )
        if not gives_up:
            return ()
        self.failure = kind
        return (StopAsked(),)

    def _tell_answer(self, answer: bytes) -> None:
        if self._check:
            text = answer.decode("utf-8", "replace")
            self._teller.tell("scored", text, answer=text)


def addresses(contract: StartContract) -> dict[str, str]:
    """Return what can be asked, by name."""
    host = f"[{contract.host}]" if ":" in contract.host else contract.host
    base = f"http://{host}:{contract.port}"
    model = contract.models[0].name if contract.multi_model and contract.models else contract.service
    return {
        "health": f"{base}/",
        "score": f"{base}/score",
        "swagger": f"{base}/swagger.json",
        "infer": f"{base}/v2/models/{model}/infer",
        "grpc": f"{host}:{contract.port}",
    }
