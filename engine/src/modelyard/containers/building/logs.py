"""What the log of a build says: its lines, the step it is at, and why it failed. Pure.

Two builders, two languages: the daemon's own sends messages, BuildKit prints lines with a step's number.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import attrs

TAIL_LINES = 20
LINE_LIMIT = 8_000
"""Characters; longer lines are cut into several: a progress bar without newlines must not fill memory."""
_STEP = re.compile(r"Step (\d+/\d+) : (.*)", re.DOTALL)
_RUNNING = re.compile(r" ---> Running in ([0-9a-f]{12,64})")
_DAEMONS_OWN = (" ---> ", "Removing intermediate container ")
_STATUS = re.compile(r"(?:returned a non-zero code|exit code): (\d+)")
_VERTEX = re.compile(r"#(\d+) \[(?:[^\]]* )?(\d+/\d+)\] (.*)")
_VERTEX_FAILED = re.compile(r"#(\d+) ERROR: (.*)")
_VERTEX_SAID = re.compile(r"#(\d+) \d+\.\d+ ?(.*)")
_FAILED = re.compile(r"ERROR: (.*)")
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@attrs.frozen
class Failure:
    """Why a build failed: the step (`3/5: RUN ...`, may be empty), its exit status, the last lines it said."""

    message: str
    step: str = ""
    status: int | None = None
    tail: tuple[str, ...] = ()


class Log(Protocol):
    """Follows a build."""

    @property
    def failure(self) -> Failure | None:
        """Why it failed; None = it has not."""
        ...


class ClassicLog:
    """Follows the messages of the daemon's own builder."""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self.container = ""
        """The container of the step that runs."""
        self._step = ""
        self._pending = ""
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def hear(self, message: Mapping[str, Any]) -> Iterator[str]:
        """Take a message; give the lines that it completes."""
        if "stream" in message:
            for line in self._lines(str(message["stream"])):
                self._note(line)
                yield line
        elif error := message.get("error"):
            yield from self._rest()
            self._fail(str(error), message.get("errorDetail") or {})
            yield str(error)
        elif message.get("status") and not message.get("progressDetail"):
            yield " ".join(filter(None, (str(message.get("id") or ""), str(message["status"]))))

    def _lines(self, text: str) -> Iterator[str]:
        *whole, self._pending = (self._pending + text).split("\n")
        for line in whole:
            yield from _cut(_plain(line))
        while len(self._pending) > LINE_LIMIT:
            yield _plain(self._pending[:LINE_LIMIT])
            self._pending = self._pending[LINE_LIMIT:]

    def _rest(self) -> Iterator[str]:
        rest, self._pending = self._pending, ""
        if rest:
            self._note(_plain(rest))
            yield _plain(rest)

    def _note(self, line: str) -> None:
        if step := _STEP.fullmatch(line):
            self._step = f"{step[1]}: {step[2]}"
            self._tail.clear()
        elif running := _RUNNING.fullmatch(line):
            self.container = running[1]
        elif line.strip() and not line.startswith(_DAEMONS_OWN):
            self._tail.append(line)

    def _fail(self, message: str, detail: Mapping[str, Any]) -> None:
        said = _STATUS.search(message)
        status = int(said[1]) if said else detail.get("code")
        self.failure = Failure(
            message, self._step, status if isinstance(status, int) else None, tuple(self._tail)
        )


class BuildKitLog:
    """Follows the lines of `--progress=plain`."""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self._steps: dict[str, str] = {}
        self._tails: dict[str, deque[str]] = {}
        self._last: deque[str] = deque(maxlen=TAIL_LINES)

    def hear(self, line: str) -> None:
        """Take a line."""
        if line.strip():
            self._last.append(line)
        if vertex := _VERTEX.fullmatch(line):
            self._steps[vertex[1]] = f"{vertex[2]}: {vertex[3]}"
        elif failed := _VERTEX_FAILED.fullmatch(line):
            self._fail(failed[2], failed[1])
        elif said := _VERTEX_SAID.fullmatch(line):
            self._tails.setdefault(said[1], deque(maxlen=TAIL_LINES)).append(said[2])
        elif (failed := _FAILED.fullmatch(line)) and self.failure is None:
            self._fail(failed[1], "")

    def end(self, status: int) -> None:
        """Take the exit status of the program: one that failed without a word has failed all the same."""
        if status and self.failure is None:
            last = self._last[-1] if self._last else "it said nothing"
            self.failure = Failure(last, tail=tuple(self._last))

    def _fail(self, message: str, vertex: str) -> None:
        status = _STATUS.search(message)
        tail = tuple(self._tails.get(vertex, ()))
        self.failure = Failure(message, self._steps.get(vertex, ""), int(status[1]) if status else None, tail)


def _plain(line: str) -> str:
    """Colours and what a progress bar wrote over go."""
    return _COLOURS.sub("", line.rstrip("\r").rpartition("\r")[2])


def _cut(line: str) -> Iterator[str]:
    yield line[:LINE_LIMIT]
    for start in range(LINE_LIMIT, len(line), LINE_LIMIT):
        yield line[start : start + LINE_LIMIT]
