"""Ask `run()`: hand it what a reader made of the request, time it, and make a reply of what it returns."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Callable, ContextManager, Dict, Optional, Tuple

from . import explaining, nested
from .coroutines import Coroutines
from .failures import Failure, ScriptRaised
from .headers import readable
from .json_text import write, write_as_v1
from .replies import Inferred, Reply, Scored
from .requests import InferRequest, Request, ScoreRequest, Tensor
from .signatures import Call
from .streaming import is_stream, streamed, tensors_streamed

PLAIN = frozenset({dict, list, str, int, float, bool, type(None), tuple})
"""What goes to JSON at once: neither a response, nor a stream, nor something to await."""
_NO_HEADERS: Dict[str, str] = {}


class Reader:
    """Makes what `run()` is given of a request; each style has its own. Raises `BadInput`."""

    def of_score(self, request: ScoreRequest) -> Any:
        """Read a request to `/score`."""
        raise NotImplementedError

    def of_tensors(self, request: InferRequest) -> Any:
        """Read named tensors."""
        raise NotImplementedError

    def failure_of(self, error: BaseException, request: Request) -> Failure:
        """Say what a client is told about what `run()` raised, and write the log."""
        return raised(error, "run()")


class Runs:
    """A script's `run()` behind a reader."""

    def __init__(
        self,
        reader: Reader,
        call: Call,
        *,
        wants_headers: bool,
        coroutines: Coroutines,
        strict: bool = False,
        around: Optional[Callable[[Request], ContextManager[Any]]] = None,
    ) -> None:
        self.reader = reader
        self._call = call
        self._wants_headers = wants_headers
        self._coroutines = coroutines
        self._write = write_as_v1 if strict else write
        self._around = around

    def score(self, request: ScoreRequest) -> Reply:
        """Answer `/score`. Raises `Failure`."""
        result, elapsed_ms = self._ask(self.reader.of_score(request), request)
        return self.scored(result, elapsed_ms)

    def infer(self, request: InferRequest) -> Reply:
        """Answer with tensors. Raises `Failure`."""
        result, elapsed_ms = self._ask(self.reader.of_tensors(request), request)
        return self.inferred(result, request.outputs, elapsed_ms)

    def scored(self, result: Any, elapsed_ms: float) -> Reply:
        """Make the reply to `/score` of a result. Raises `ResultUnusable`."""
        if type(result) in PLAIN:
            return Scored(self._write(result), elapsed_ms)
        if is_stream(result):
            return streamed(result, self._coroutines)
        return Scored(self._write(result), elapsed_ms)

    def inferred(self, result: Any, wanted: Tuple[str, ...], elapsed_ms: float) -> Reply:
        """Make tensors of a result. Raises `ResultUnusable`, or `BadInput` for an output it does not have."""
        if type(result) not in PLAIN and is_stream(result):
            return tensors_streamed(result, self._coroutines, lambda piece: tensors_of(piece, wanted))
        return Inferred(tensors_of(result, wanted), elapsed_ms)

    def _ask(self, item: Any, request: Request) -> Tuple[Any, float]:
        headers = readable(request.headers) if self._wants_headers else _NO_HEADERS
        started = perf_counter()
        try:
            if self._around is None:
                result = self._call(item, headers)
            else:
                with self._around(request):
                    result = self._call(item, headers)
            if type(result) not in PLAIN:
                result = self._coroutines.finished(result)
        except BaseException as error:  # the user's code may raise anything, SystemExit too: it is its answer
            raise self.reader.failure_of(error, request) from error
        return result, (perf_counter() - started) * 1000


def tensors_of(result: Any, wanted: Tuple[str, ...]) -> Tuple[Tensor, ...]:
    """Make tensors of what a script that speaks JSON returned."""
    outputs = nested.chosen(nested.named(result), wanted)
    return tuple(nested.of_lists(name, value) for name, value in outputs.items())


def raised(error: BaseException, doing: str) -> ScriptRaised:
    """Write the traceback to the log and return what a client may be told."""
    explaining.show(error)
    return ScriptRaised(f"{doing} raised {type(error).__name__}")
