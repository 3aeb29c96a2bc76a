"""How asking a script can end badly. Each failure can cross a process border as its `kind` and text."""

from __future__ import annotations


class Failure(Exception):
    """A request failed in the worker. `str()` is safe to show a client: no traceback, no data of others."""

    kind = "failure"


class BadInput(Failure):
    """The client's fault. `place` says where (`data[0][3]`), `status` is 400 or 415."""

    kind = "bad-input"

    def __init__(self, message: str, *, place: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.place = place
        self.status = status


class ScriptRaised(Failure):
    """`run()` or `infer()` raised; the traceback went to the log, `__cause__` has it in the same process."""

    kind = "script-raised"


class ResultUnusable(Failure):
    """The script returned what cannot be sent."""

    kind = "result-unusable"


class InputBroke(Failure):
    """Reading the request failed in a way that v1 did not foresee (`compat: strict-v1` alone)."""

    kind = "input-broke"


class RunTimedOut(ScriptRaised):
    """`run()` raised a TimeoutError, which v1 took for its own alarm (`compat: strict-v1` alone)."""

    kind = "run-timed-out"


class RunLeft(ScriptRaised):
    """`run()` called `sys.exit`, of which v1's worker died (`compat: strict-v1` alone)."""

    kind = "run-left"


class ScriptError(Exception):
    """The script cannot serve at all: `cause` in one line (`str()`), `remedy` says what to change.

    `exit_code` tells cause classes apart: see `modelyard_runtime.causes`.
    """

    def __init__(self, cause: str, *, remedy: str, exit_code: int = 10) -> None:
        super().__init__(cause)
        self.remedy = remedy
        self.exit_code = exit_code
