"""Say what went wrong with the user's code: one line of cause, one of remedy, one number for its class."""

from __future__ import annotations

import os
import sys
import traceback

from .failures import ScriptError, ScriptRaised

SYNTAX, IMPORT, INIT_RAISED, INIT_EXITED = 11, 12, 14, 15
"""Cause classes that are read off an exception; `ScriptError.exit_code` holds the others."""

_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


def explain(error: BaseException, code_dir: str, doing: str) -> tuple[str, str]:
    """Return the cause and its remedy. `doing` opens the cause: "init()", "loading the script"."""
    if isinstance(error, ScriptError):
        return str(error), error.remedy
    where = _innermost(error, code_dir)
    cause = _cause(error, doing) + (f" ({where})" if where else "")
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return (
            cause,
            f"install the package that provides '{package}' where the script runs (environment.requirements)",
        )
    if isinstance(error, SystemExit):
        return cause, "raise an exception that says what is wrong instead of leaving the process"
    return cause, f"mend {where or 'the entry script'}; the whole traceback is in replica.log"


def exit_code_of(error: BaseException, doing: str) -> int:
    """Return the cause class: 10 script missing, 11 syntax, 12 import, 13 contract, 14 `init()` raised, 15 exited."""
    if isinstance(error, ScriptError):
        return error.exit_code
    if doing.startswith("init"):
        return INIT_EXITED if isinstance(error, SystemExit) else INIT_RAISED
    return SYNTAX if isinstance(error, SyntaxError) else IMPORT


def show(error: BaseException) -> None:
    """Write the traceback to stderr, which is the log, from the first line of the user's code on."""
    found = error.__traceback__
    while found is not None and found.tb_next is not None and _is_own(found.tb_frame.f_code.co_filename):
        found = found.tb_next
    text = "".join(traceback.format_exception(type(error), error, found))
    sys.stderr.write(text)
    sys.stderr.flush()


def raised(error: BaseException, doing: str) -> ScriptRaised:
    """Write the traceback to the log and return what a client may be told."""
    show(error)
    return ScriptRaised(f"{doing} raised {type(error).__name__}")


def say(text: str) -> None:
    """Write a line to the log."""
    sys.stderr.write(text + "\n")


def _cause(error: BaseException, doing: str) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"{doing} left the process with status {text or '0'}"
    return f"{doing} raised {type(error).__name__}: {text or 'without a message'}"


def _innermost(error: BaseException, code_dir: str) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{os.path.basename(error.filename)}, line {error.lineno}"
    root = os.path.join(os.path.realpath(code_dir), "")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = os.path.realpath(frame.filename)
        if path.startswith(root) and not _is_own(path):
            return f"{os.path.relpath(path, root)}, line {frame.lineno}"
    return ""


def _is_own(filename: str) -> bool:
    return os.path.abspath(filename).startswith(_OWN_FOLDER)
