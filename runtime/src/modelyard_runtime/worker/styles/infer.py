"""`infer(inputs)`: named arrays in, named arrays out, for scripts that want no JSON between them and numpy."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from .. import nested, queries
from ..arrays import Arrays
from ..coroutines import Coroutines
from ..declarations import Declared
from ..explaining import raised
from ..failures import BadInput, ResultUnusable
from ..headers import readable
from ..json_text import parse, write, write_as_v1
from ..replies import Inferred, Reply, Scored
from ..requests import InferRequest, Request, ScoreRequest, Tensor
from ..signatures import Call
from ..streaming import is_stream, streamed, tensors_streamed

_NO_HEADERS: dict[str, str] = {}


class Infers:
    """A script's `infer()`. `declared` holds what the script says of its tensors."""

    def __init__(
        self,
        call: Call,
        *,
        wants_headers: bool,
        coroutines: Coroutines,
        arrays: Arrays,
        declared: Declared,
        strict: bool = False,
    ) -> None:
        self.arrays = arrays
        self.declared = declared
        self._call = call
        self.wants_headers = wants_headers
        self._coroutines = coroutines
        self._write = write_as_v1 if strict else write
        self._single = declared.outputs[0].name if declared.outputs else nested.OUTPUT

    def infer(self, request: InferRequest) -> Reply:
        """Answer with tensors. Raises `Failure`."""
        result, elapsed_ms = self.ask(self.inputs(request), request)
        if type(result) is not dict and is_stream(result):
            return tensors_streamed(
                result, self._coroutines, lambda piece: self._tensors(self.named(piece), request.outputs)
            )
        return Inferred(self._tensors(self.named(result), request.outputs), elapsed_ms)

    def score(self, request: ScoreRequest) -> Reply:
        """Answer `/score` with JSON lists by output name. Raises `Failure`."""
        result, elapsed_ms = self.ask(self.listed_inputs(request), request)
        if is_stream(result):
            pieces = (self._lists(piece) for piece in _sync(result, self._coroutines))
            return streamed(pieces, self._coroutines, elapsed_ms)
        return Scored(self._write(self._lists(result)), elapsed_ms)

    def inputs_of(self, request: Request) -> dict[str, Any]:
        """Return the arrays of a request of either kind. Raises `BadInput`."""
        return self.inputs(request) if isinstance(request, InferRequest) else self.listed_inputs(request)

    def inputs(self, request: InferRequest) -> dict[str, Any]:
        """Return the arrays of a request by name. Raises `BadInput`."""
        if self.declared.inputs is not None:
            self.declared.check(request.inputs)
        of = self.arrays.of
        return {tensor.name: of(tensor) for tensor in request.inputs}

    def ask(self, inputs: dict[str, Any], request: Request) -> tuple[Any, float]:
        """Call `infer()`; the time is in milliseconds. Raises `ScriptRaised`."""
        headers = readable(request.headers) if self.wants_headers else _NO_HEADERS
        started = perf_counter()
        try:
            result = self._call(inputs, headers)
            if type(result) is not dict:
                result = self._coroutines.finished(result)
        except BaseException as error:  # the user's code may raise anything, SystemExit too: it is its answer
            raise raised(error, "infer()") from error
        return result, (perf_counter() - started) * 1000

    def reply(self, result: Any, request: Request, elapsed_ms: float) -> Reply:
        """Make the reply to a request of either kind of a result that is no stream."""
        if isinstance(request, InferRequest):
            return Inferred(self._tensors(self.named(result), request.outputs), elapsed_ms)
        return Scored(self._write(self._lists(result)), elapsed_ms)

    def listed_inputs(self, request: ScoreRequest) -> dict[str, Any]:
        """Return the arrays of a JSON object by name. Raises `BadInput`."""
        document = queries.read(request.query) if request.method == "GET" else parse(request.body)
        if not isinstance(document, dict) or not document:
            raise BadInput('the body must be a JSON object of arrays by name, like {"x": [[1, 2]]}')
        return {name: self._array(name, value) for name, value in self._wanted(document).items()}

    def _wanted(self, document: dict[str, Any]) -> dict[str, Any]:
        declared = self.declared.inputs
        if declared is None:
            return document
        for one in declared:
            if one.name not in document:
                raise BadInput(f"A value is not provided for the '{one.name}' input.", place=one.name)
        return {one.name: document[one.name] for one in declared}

    def _array(self, name: str, value: Any) -> Any:
        declared = self.declared.input(name)
        try:
            array = self.arrays.of_lists(value, declared.datatype if declared else "")
        except (ValueError, TypeError, OverflowError) as error:
            raise BadInput(f"no array can be made of '{name}': {error}", place=name) from None
        if declared is not None:
            declared.check_shape(array.shape)
        return array

    def named(self, result: Any) -> dict[str, Any]:
        """Return the outputs by name; a single array gets the declared one. Raises `ResultUnusable`."""
        if isinstance(result, dict):
            if not result:
                raise ResultUnusable("infer() returned no output")
            return result
        if result is None:
            raise ResultUnusable("infer() returned None: return an array, or arrays by name")
        return {self._single: result}

    def _tensors(self, outputs: dict[str, Any], wanted: tuple[str, ...]) -> tuple[Tensor, ...]:
        return self.arrays.tensors(nested.chosen(outputs, wanted) if wanted else outputs)

    def _lists(self, result: Any) -> dict[str, Any]:
        tensors = self._tensors(self.named(result), ())
        return {tensor.name: nested.to_lists(tensor) for tensor in tensors}


def _sync(source: Any, coroutines: Coroutines) -> Any:
    return coroutines.pieces(source) if hasattr(source, "__anext__") else source
