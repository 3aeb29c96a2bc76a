"""The user's entry script: loaded once, `init()` once, then asked. What everything else here comes together in."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Callable, List, Optional, Sequence, Union

from . import declarations, signatures
from .arrays import Arrays
from .coroutines import Coroutines
from .description import Description
from .explaining import exit_code_of, explain
from .failures import Failure, ScriptError
from .importing import import_entry, scored_module
from .replies import Reply
from .requests import InferRequest, Request, ScoreRequest
from .runs import Runs, raised
from .signatures import broken
from .styles.infer import Infers
from .styles.text import TextReader

__all__ = ["STRICT", "Script", "ScriptError", "exit_code_of", "explain", "load"]

STRICT = "strict-v1"
"""`compat`: answer as v1 did where v1 was wrong."""


class Script:
    """A loaded script. `answer` and `answer_batch` may be called from several threads at once."""

    def __init__(
        self,
        init: Callable[[], Any],
        score: Callable[[ScoreRequest], Reply],
        infer: Callable[[InferRequest], Reply],
        description: Description,
    ) -> None:
        self.description = description
        self.init = init
        """Calls the script's `init()`; whatever it raises comes through."""
        self._score = score
        self._infer = infer

    def answer(self, request: Request) -> Reply:
        """Answer one request. Raises `Failure`."""
        if type(request) is ScoreRequest:
            return self._score(request)
        return self._infer(request)  # type: ignore[arg-type]  # told apart one line above

    def answer_batch(self, requests: Sequence[Request]) -> List[Union[Reply, Failure]]:
        """Answer several requests, in their order; what is wrong with one is that one's answer alone."""
        return [self._settled(request) for request in requests]

    def _settled(self, request: Request) -> Union[Reply, Failure]:
        try:
            return self.answer(request)
        except Failure as failure:
            return failure


def load(code_dir: str, entry: str, *, batching: bool = False, compat: str = "") -> Script:
    """Import the entry script and check that it can serve.

    Raises `ScriptError`, or whatever the import raises: see `explain` and `exit_code_of`.
    """
    module = import_entry(code_dir, entry)
    init = getattr(module, "init", None)
    if not callable(init):
        raise broken(f"{entry} has no function init()", f"define init() in {entry}; it may be empty")
    scored = scored_module(module)
    coroutines, strict = Coroutines(), compat == STRICT
    runs = _runs(scored, entry, coroutines, strict=strict)
    infers = _infers(scored, entry, coroutines, strict=strict)
    if infers is None and runs is None:
        raise broken(f"{entry} has no function run()", f"define run(data) or infer(inputs) in {entry}")
    score = runs.score if runs is not None else infers.score
    infer = infers.infer if infers is not None else runs.infer
    description = Description(style="text" if runs is not None else "tensors")
    return Script(lambda: coroutines.finished(init()), score, infer, description)


def _runs(module: ModuleType, entry: str, coroutines: Coroutines, *, strict: bool) -> Optional[Runs]:
    run = getattr(module, "run", None)
    if not callable(run):
        return None
    signature = signatures.check(run, "run", entry)
    return Runs(
        TextReader(),
        signatures.caller(run, signature),
        wants_headers=signature.wants_headers,
        coroutines=coroutines,
        strict=strict,
    )


def _infers(module: ModuleType, entry: str, coroutines: Coroutines, *, strict: bool) -> Optional[Infers]:
    infer = getattr(module, "infer", None)
    if not callable(infer):
        return None
    signature = signatures.check(infer, "infer", entry)
    try:
        arrays = Arrays()
    except ImportError:
        raise broken(
            f"infer() in {entry} gets numpy arrays, and there is no numpy",
            "add numpy to environment.requirements",
        ) from None
    return Infers(
        signatures.caller(infer, signature),
        wants_headers=signature.wants_headers,
        coroutines=coroutines,
        arrays=arrays,
        declared=declarations.read(module, entry),
        strict=strict,
    )
