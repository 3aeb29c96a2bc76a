"""Show the progress of long work that is no operation: on stderr, so that stdout stays what was asked for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard.cli.printing import fancy, note, size

if TYPE_CHECKING:
    from modelyard.api import Progress

PATIENCE_SECONDS = 1.0
_STEPS_SHOWN = 10
"""Lines for a count of bytes, where nobody can write over the last one."""


@contextlib.contextmanager
def patience(words: str, *, quiet: bool) -> Iterator[None]:
    """Say what is being done, once it has taken a second."""
    timer = threading.Timer(PATIENCE_SECONDS, note, (words,))
    timer.daemon = True
    if not quiet:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def watching(*, quiet: bool) -> contextlib.AbstractContextManager[Callable[[Progress[Any]], None]]:
    """Give what shows each line of progress."""
    if quiet:
        return contextlib.nullcontext(lambda _: None)
    return _live() if fancy() else contextlib.nullcontext(_Lines().show)


@dataclass
class _Lines:
    """One plain line for each new message, and for each tenth of the bytes."""

    said: tuple[str, int] = ("", 0)

    def show(self, progress: Progress[Any]) -> None:
        tenth = _STEPS_SHOWN * progress.done_bytes // max(1, progress.total_bytes)
        if (progress.message, tenth) != self.said:
            self.said = (progress.message, tenth)
            note(in_words(progress))


@contextlib.contextmanager
def _live() -> Iterator[Callable[[Progress[Any]], None]]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True), refresh_per_second=8, transient=True) as live:
        yield lambda progress: live.update(Text(in_words(progress)))


def in_words(progress: Progress[Any]) -> str:
    """Give one line."""
    if not progress.total_bytes:
        return progress.message
    return f"{progress.message}: {size(progress.done_bytes)} of {size(progress.total_bytes)}"
