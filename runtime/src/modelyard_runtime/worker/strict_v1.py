"""What became of `run()` when it did not return, as v1 told it; for `compat: strict-v1`."""

from __future__ import annotations

from .explaining import show
from .failures import Failure, RunLeft, RunTimedOut, ScriptRaised
from .requests import Request


def failure_of(error: BaseException, request: Request) -> Failure:  # noqa: ARG001  # as a reader's
    """Tell a script that is late by its own account, and one that leaves, from all others; write the log."""
    show(error)
    kind = ScriptRaised
    if isinstance(error, TimeoutError):
        kind = RunTimedOut
    elif not isinstance(error, Exception):
        kind = RunLeft
    return kind(f"run() raised {type(error).__name__}")
