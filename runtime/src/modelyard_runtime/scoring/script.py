"""The user's entry script: loaded once, `init()` once, `run()` per request.

Code of unknown manners: every way it can be wrong becomes a `ScriptError` or a cause with its line.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

HEADERS_PARAMETER = "request_headers"
_REFUSED = {
    inspect.Parameter.VAR_POSITIONAL: "*args",
    inspect.Parameter.VAR_KEYWORD: "**kwargs",
    inspect.Parameter.POSITIONAL_ONLY: "positional-only parameters",
}


class ScriptError(Exception):
    """The script cannot serve; `remedy` says what to change."""

    def __init__(self, cause: str, *, remedy: str) -> None:
        super().__init__(cause)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Script:
    """A loaded script. `wants_headers`: `run` takes `request_headers` too."""

    module: ModuleType
    run: Callable[..., Any]
    wants_headers: bool
    loop: asyncio.AbstractEventLoop | None
    """Where coroutines of an async script run; None for an ordinary one."""

    def init(self) -> None:
        """Call the script's `init()`."""
        self._finish(self.module.init())

    def call(self, text: str, headers: dict[str, str]) -> Any:
        """Call the script's `run()` with the request's text."""
        if self.wants_headers:
            return self._finish(self.run(text, request_headers=headers))
        return self._finish(self.run(text))

    def _finish(self, result: Any) -> Any:
        if self.loop is None or not inspect.iscoroutine(result):
            return result
        return asyncio.run_coroutine_threadsafe(result, self.loop).result()


def load(code_dir: Path, entry: str) -> Script:
    """Import the entry script and check that it can serve. Raises `ScriptError`, or what its import raises."""
    path = code_dir / entry
    if not path.is_file():
        raise ScriptError(
            f"the entry script {entry} is not in the code folder",
            remedy="set code.entry to the script's path inside code.source",
        )
    for folder in (str(path.parent), str(code_dir)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    module = _import(path)
    for name in ("init", "run"):
        if not callable(getattr(module, name, None)):
            raise ScriptError(f"{entry} has no function {name}()", remedy=f"define {name}() in {entry}")
    return Script(module, module.run, _check_run(module.run, entry), _loop_for(module))


def explain(error: BaseException, code_dir: Path, *, doing: str) -> tuple[str, str]:
    """Say in one line what went wrong with the user's code and where, and what to do about it."""
    if isinstance(error, ScriptError):
        return str(error), error.remedy
    where = _innermost(error, code_dir)
    text = " ".join(str(error).split()) or "without a message"
    cause = f"{doing} raised {type(error).__name__}: {text}" + (f" ({where})" if where else "")
    if isinstance(error, ModuleNotFoundError) and error.name:
        return cause, f"add the package that provides '{error.name}' to environment.requirements"
    return cause, f"mend {where or 'the entry script'}; the whole traceback is in replica.log"


def _import(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise ScriptError(
            f"{path.name} is not a Python file", remedy="the entry script's name must end in .py"
        )
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    specification.loader.exec_module(module)
    return module


def _check_run(run: Callable[..., Any], entry: str) -> bool:
    parameters = inspect.signature(run).parameters
    remedy = f"write run(data) or run(data, {HEADERS_PARAMETER})"
    for parameter in parameters.values():
        if parameter.kind in _REFUSED:
            raise ScriptError(f"run() in {entry} takes {_REFUSED[parameter.kind]}", remedy=remedy)
    wants_headers = HEADERS_PARAMETER in parameters
    data = [parameter for name, parameter in parameters.items() if name != HEADERS_PARAMETER]
    if not data or data[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise ScriptError(f"run() in {entry} takes no data", remedy=remedy)
    needed = [parameter.name for parameter in data[1:] if parameter.default is inspect.Parameter.empty]
    if needed:
        raise ScriptError(f"run() in {entry} needs '{needed[0]}', which no request carries", remedy=remedy)
    return wants_headers


def _loop_for(module: ModuleType) -> asyncio.AbstractEventLoop | None:
    if not any(inspect.iscoroutinefunction(getattr(module, name)) for name in ("init", "run")):
        return None
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="script-loop", daemon=True).start()
    return loop


def _innermost(error: BaseException, code_dir: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}, line {error.lineno}"
    root = str(code_dir.resolve())
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if str(Path(frame.filename).resolve()).startswith(root):
            return f"{Path(frame.filename).name}, line {frame.lineno}"
    return ""
