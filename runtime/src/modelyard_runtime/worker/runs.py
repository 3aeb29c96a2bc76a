"""Ask `run()`: hand it what a reader made of the request, time it, and make a reply of what it returns."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any, Callable, ContextManager

from . import nested, strict_v1
from .arrays import shared_arrays
from .coroutines import Coroutines
from .explaining import raised
from .failures import Failure
from .headers import readable
from .json_text import write, write_as_v1
from .raw_http.answering import is_response, reply_of, result_of
from .replies import Inferred, Reply, Scored
from .requests import InferRequest, Request, ScoreRequest, Tensor
from .signatures import Call
from .streaming import is_stream, streamed, tensors_streamed

PLAIN = frozenset({dict, list, str, int, float, bool, type(None), tuple})
"""What goes to JSON at once: neither a response, nor a stream, nor something to await."""
_NO_HEADERS: dict[str, str] = {}


class Reader:
    """Makes what `run()` is given of a request; each style has its own. Raises `BadInput`."""

    lone = ""
    """Why `run_batch()` cannot be given several of them."""

    def of_score(self, request: ScoreRequest) -> Any:
        """Read a request to `/score`."""
        raise NotImplementedError

    def of_tensors(self, request: InferRequest) -> Any:
        """Read named tensors."""
        raise NotImplementedError

    def item_of(self, read: Any) -> Any:
        """Make what `run_batch()` is given of what was read."""
        return read

    def failure_of(self, error: BaseException, request: Request) -> Failure:  # noqa: ARG002  # other styles need it
        """Say what a client is told about what `run()` raised, and write the log."""
        return raised(error, "run()")


class Runs:
    """A script's `run()` behind a reader."""

    def __init__(  # what a script is, once
        self,
        reader: Reader,
        call: Call,
        *,
        wants_headers: bool,
        coroutines: Coroutines,
        strict: bool = False,
        around: Callable[[Request], ContextManager[Any]] | None = None,
    ) -> None:
        self.reader = reader
        self._call = call
        self.wants_headers = wants_headers
        self._coroutines = coroutines
        self._write = write_as_v1 if strict else write
        self._failure_of = strict_v1.failure_of if strict else reader.failure_of
        self.around = around

    def score(self, request: ScoreRequest) -> Reply:
        """Answer `/score`. Raises `Failure`."""
        result, elapsed_ms = self._ask(self.reader.of_score(request), request)
        return self.scored(result, elapsed_ms)

    def infer(self, request: InferRequest) -> Reply:
        """Answer with tensors. Raises `Failure`."""
        result, elapsed_ms = self._ask(self.reader.of_tensors(request), request)
        return self.inferred(result, request.outputs, elapsed_ms)

    def item(self, request: Request) -> Any:
        """Return what `run_batch()` is given of a request. Raises `Failure`."""
        reader = self.reader
        read = reader.of_score(request) if isinstance(request, ScoreRequest) else reader.of_tensors(request)
        try:
            return reader.item_of(read)
        except BaseException as error:  # the library, and types of the user's own, may raise anything
            raise self._failure_of(error, request) from error

    def reply(self, result: Any, request: Request, elapsed_ms: float) -> Reply:
        """Make the reply to a request of either kind. Raises `Failure`."""
        if type(request) is ScoreRequest:
            return self.scored(result, elapsed_ms)
        return self.inferred(result, request.outputs, elapsed_ms)  # type: ignore[union-attr]  # the same

    def scored(self, result: Any, elapsed_ms: float) -> Reply:
        """Make the reply to `/score` of a result. Raises `ResultUnusable`."""
        if type(result) in PLAIN:
            return Scored(self._write(result), elapsed_ms)
        if is_response(result):
            return reply_of(result, elapsed_ms)
        if is_stream(result):
            return streamed(result, self._coroutines, elapsed_ms)
        return Scored(self._write(result), elapsed_ms)

    def inferred(self, result: Any, wanted: tuple[str, ...], elapsed_ms: float) -> Reply:
        """Make tensors of a result. Raises `ResultUnusable`, or `BadInput` for an output it does not have."""
        if type(result) not in PLAIN and is_stream(result):
            return tensors_streamed(result, self._coroutines, lambda piece: tensors_of(piece, wanted))
        return Inferred(tensors_of(result, wanted), elapsed_ms)

    def _ask(self, item: Any, request: Request) -> tuple[Any, float]:
        headers = readable(request.headers) if self.wants_headers else _NO_HEADERS
        started = perf_counter()
        try:
            if self.around is None:
                result = self._call(item, headers)
                if type(result) not in PLAIN:
                    result = self._coroutines.finished(result)
            else:
                with self.around(request):  # to the end: a coroutine takes the context along to its loop
                    result = self._call(item, headers)
                    if type(result) not in PLAIN:
                        result = self._coroutines.finished(result)
        except BaseException as error:  # the user's code may raise anything, SystemExit too: it is its answer
            raise self._failure_of(error, request) from error
        return result, (perf_counter() - started) * 1000


def tensors_of(result: Any, wanted: tuple[str, ...]) -> tuple[Tensor, ...]:
    """Make tensors of what a script that speaks JSON returned."""
    value = result_of(result) if type(result) not in PLAIN and is_response(result) else result
    outputs = nested.chosen(nested.named(value), wanted)
    return tuple(_tensor(name, value) for name, value in outputs.items())


def _tensor(name: str, value: Any) -> Tensor:
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and type(value) is numpy.ndarray and value.dtype.kind in "biuf":
        return shared_arrays().tensors({name: value})[0]
    return nested.of_lists(name, value)
