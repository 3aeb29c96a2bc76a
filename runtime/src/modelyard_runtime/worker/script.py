"""The user's entry script: loaded once, `init()` once, then asked. What everything else here comes together in."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable, List, Sequence, Union

from . import aliases, declarations, signatures
from .arrays import Arrays
from .batches import alone, batches_of
from .coroutines import Coroutines
from .declarations import Declared
from .description import Description
from .explaining import exit_code_of, explain
from .failures import Failure, ScriptError
from .importing import import_entry, scored_module
from .raw_http import marking, with_flask
from .replies import Reply
from .requests import Request, ScoreRequest
from .runs import Runs
from .signatures import broken
from .styles.http import FlaskHttpReader, OwnHttpReader, as_post, with_current, with_proxy
from .styles.infer import Infers
from .styles.schema import SchemaReader, is_decorated, schemas
from .styles.text import TextReader, TextReaderAsV1

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["STRICT", "Script", "ScriptError", "exit_code_of", "explain", "load"]

STRICT = "strict-v1"
"""`compat`: answer as v1 did where v1 was wrong."""
Outcomes = List[Union[Reply, Failure]]


class Script:
    """A loaded script. `answer` and `answer_batch` may be called from several threads at once."""

    def __init__(
        self,
        description: Description,
        init: Callable[[], Any],
        answer: Callable[[Request], Reply],
        answer_batch: Callable[[Sequence[Request]], Outcomes],
    ) -> None:
        self.description = description
        self.init = init
        """Calls the script's `init()`; whatever it raises comes through."""
        self.answer = answer
        """Answers one request. Raises `Failure`."""
        self.answer_batch = answer_batch
        """Answers several, in their order; what is wrong with one is that one's answer alone."""


def load(code_dir: str, entry: str, *, batching: bool = False, compat: str = "") -> Script:
    """Import the entry script and check that it can serve.

    Raises `ScriptError`, or whatever the import raises: see `explain` and `exit_code_of`.
    """
    strict = compat == STRICT
    aliases.offer(strict=strict)
    marking.forget()
    module = import_entry(code_dir, entry)
    init = getattr(module, "init", None)
    if not callable(init):
        raise broken(f"{entry} has no function init()", f"define init() in {entry}; it may be empty")
    return _Loading(scored_module(module), entry, strict=strict).script(init, batching=batching)


class _Loading:
    """What is found out about a script, once."""

    def __init__(self, module: ModuleType, entry: str, *, strict: bool) -> None:
        self.module = module
        self.entry = entry
        self.strict = strict
        self.coroutines = Coroutines()

    @cached_property
    def declared(self) -> Declared:
        """What the script says of its tensors."""
        return declarations.read(self.module, self.entry)

    def script(self, init: Callable[[], Any], *, batching: bool) -> Script:
        """Put the script together."""
        runs, style = self._runs()
        infers = self._infers()
        if runs is None and infers is None:
            entry = self.entry
            raise broken(f"{entry} has no function run()", f"define run(data) or infer(inputs) in {entry}")
        answer = _answering(runs or infers, infers or runs)
        batches = batches_of(self.module, self.entry, runs, infers, answer, self.coroutines)
        if batching and batches is None:
            raise broken(
                f"batching is asked for, but {self.entry} declares no batches",
                "define run_batch(items) beside run(), or set BATCHABLE = True beside infer(inputs)",
            )
        description = self._description(style, runs, infers)._replace(batchable=batches is not None)
        one_by_one = _one_by_one(answer)
        finished = self.coroutines.finished
        return Script(description, lambda: finished(init()), answer, batches or one_by_one)

    def _runs(self) -> tuple[Runs | None, str]:
        run = getattr(self.module, "run", None)
        if not callable(run):
            return None, "tensors"
        raw, decorated = marking.is_marked(), is_decorated(run)
        if raw and decorated:
            raise broken(
                f"run() in {self.entry} is decorated with both @rawhttp and @input_schema",
                "take one of them off",
            )
        signature = signatures.check(run, "run", self.entry, several=decorated)
        call = signatures.caller(run, signature)
        more: dict[str, Any] = {
            "wants_headers": signature.wants_headers,
            "coroutines": self.coroutines,
            "strict": self.strict,
            "around": _flask_contexts(),
        }
        if raw and more["around"] is not None:
            on_request = with_proxy if self.strict else with_current
            return Runs(FlaskHttpReader(), on_request(call), **more), "http"
        if raw:
            return Runs(OwnHttpReader(), call, **more), "http"
        if decorated:
            reader = SchemaReader(run, signature.data, strict=self.strict)
            return Runs(reader, signatures.named_caller(run, signature), **more), "schema"
        texts = TextReaderAsV1() if self.strict else TextReader()
        return Runs(texts, call, **more), "text"

    def _infers(self) -> Infers | None:
        infer = getattr(self.module, "infer", None)
        if not callable(infer):
            return None
        signature = signatures.check(infer, "infer", self.entry)
        try:
            arrays = Arrays()
        except ImportError:
            raise broken(
                f"infer() in {self.entry} gets numpy arrays, and there is no numpy",
                "install numpy where the script runs (environment.requirements)",
            ) from None
        return Infers(
            signatures.caller(infer, signature),
            wants_headers=signature.wants_headers,
            coroutines=self.coroutines,
            arrays=arrays,
            declared=self.declared,
            strict=self.strict,
        )

    def _description(self, style: str, runs: Runs | None, infers: Infers | None) -> Description:
        description = Description(
            style,
            needs_headers=any(
                (
                    runs is not None and (runs.wants_headers or runs.around is not None),
                    self.strict or style != "text",  # strict: what is a form, v1's framework read
                    infers is not None and infers.wants_headers,
                )
            ),
            tensors_in=declarations.listed(self.declared.inputs),
            tensors_out=declarations.listed(self.declared.outputs),
        )
        if style != "schema":
            return description
        inputs, outputs, versions = schemas(self.module.run)
        return description._replace(input_schema=inputs, output_schema=outputs, swagger_versions=versions)


def _answering(scorer: Any, inferrer: Any) -> Callable[[Request], Reply]:
    score, infer = scorer.score, inferrer.infer

    def answer(request: Request) -> Reply:
        return score(request) if type(request) is ScoreRequest else infer(request)  # type: ignore[no-any-return]  # both do

    return answer


def _one_by_one(answer: Callable[[Request], Reply]) -> Callable[[Sequence[Request]], Outcomes]:
    return lambda requests: [alone(answer, request) for request in requests]


def _flask_contexts() -> Callable[[Request], Any] | None:
    """Return Flask's request contexts for a script that uses Flask, None for any other."""
    if "flask" not in sys.modules:
        return None
    context = with_flask.contexts()
    return lambda request: context(as_post(request))
