"""Follow an operation: a live view on a terminal, one line a step in a pipe; Ctrl-C asks for an end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from modelyard.cli.printing import fancy, note

if TYPE_CHECKING:
    from rich.console import RenderableType

    from modelyard.api import Operation, StepReport
    from modelyard.client import Client

_MARKS = {"Running": "…", "Succeeded": "✓", "Failed": "✗", "Cancelled": "-"}


def follow(client: Client, operation: Operation, *, quiet: bool) -> Operation:
    """Return the finished operation; raises what it failed with.

    The first Ctrl-C asks the engine to cancel and waits for the outcome; the second leaves at once.
    """
    with _view(quiet=quiet) as show:
        try:
            return client.wait(operation.id, on_change=show)
        except KeyboardInterrupt:
            note(f"cancelling; again to leave at once (then: engine show {operation.service})")
            client.cancel(operation.id)
            return client.wait(operation.id, on_change=show)


def _view(*, quiet: bool) -> contextlib.AbstractContextManager[Callable[[Operation], None]]:
    if quiet:
        return contextlib.nullcontext(lambda _: None)
    return _live() if fancy() else contextlib.nullcontext(_Lines().show)


@dataclass
class _Lines:
    """One plain line for each step that ended."""

    said: int = 0

    def show(self, operation: Operation) -> None:
        ended = [step for step in operation.steps if step.state.value != "Running"]
        for step in ended[self.said :]:
            click.echo(_words(step, step.seconds))
        self.said = max(self.said, len(ended))


@contextlib.contextmanager
def _live() -> Iterator[Callable[[Operation], None]]:
    from rich.live import Live

    view = _Steps()
    with Live(get_renderable=view.render, refresh_per_second=8, transient=False):
        yield view.show


@dataclass
class _Steps:
    """The steps of the newest change; a running step's seconds go on between two changes."""

    steps: tuple[StepReport, ...] = ()
    seen_at: float = 0.0

    def show(self, operation: Operation) -> None:
        self.steps, self.seen_at = operation.steps, time.monotonic()

    def render(self) -> RenderableType:
        from rich.text import Text

        return Text("\n").join(
            Text(_words(step, self._seconds(step)), style=_style(step)) for step in self.steps
        )

    def _seconds(self, step: StepReport) -> float:
        running = step.state.value == "Running"
        return step.seconds + (time.monotonic() - self.seen_at if running else 0.0)


def _words(step: StepReport, seconds: float) -> str:
    mark = _MARKS[step.state.value]
    return f"{mark} {step.name:<12} {seconds:6.2f} s  {step.message}".rstrip()


def _style(step: StepReport) -> str:
    return {"Running": "bold", "Failed": "red", "Succeeded": "green"}.get(step.state.value, "")
