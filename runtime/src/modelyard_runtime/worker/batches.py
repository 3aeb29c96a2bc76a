"""Several requests at once, for scripts that declare they can: never another result, only sooner.

A batch that fails as a whole is asked again one by one, so one bad request cannot spoil its neighbours.
"""

from __future__ import annotations

from time import perf_counter
from types import ModuleType
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple, Union

from . import explaining
from .coroutines import Coroutines
from .failures import Failure
from .headers import readable
from .replies import Reply
from .requests import InferRequest, Request, ScoreRequest
from .runs import Runs
from .signatures import broken, check
from .styles.infer import Infers

RUN_BATCH, BATCHABLE = "run_batch", "BATCHABLE"
Outcome = Union[Reply, Failure]
Answer = Callable[[Request], Reply]


def alone(answer: Answer, request: Request) -> Outcome:
    """Answer one request."""
    try:
        return answer(request)
    except Failure as failure:
        return failure


class RunBatches:
    """A script's `run_batch(items)`: a result for each item, in order."""

    def __init__(
        self,
        runs: Runs,
        answer: Answer,
        function: Callable[..., Any],
        coroutines: Coroutines,
        *,
        headers: bool,
    ) -> None:
        self._runs = runs
        self._answer = answer
        self._function = function
        self._coroutines = coroutines
        self._headers = headers

    def answer(self, requests: Sequence[Request]) -> list[Outcome]:
        """Answer requests in their order."""
        if len(requests) == 1:
            return [alone(self._answer, requests[0])]
        items, outcomes = self._read(requests)
        results, elapsed_ms = self._ask([items[n] for n in items], [requests[n] for n in items])
        for position, number in enumerate(items):
            request = requests[number]
            outcomes[number] = (
                alone(self._answer, request)
                if results is None
                else self._written(results[position], request, elapsed_ms)
            )
        return [outcomes[number] for number in range(len(requests))]

    def _read(self, requests: Sequence[Request]) -> Tuple[Dict[int, Any], Dict[int, Outcome]]:
        items: dict[int, Any] = {}
        outcomes: dict[int, Outcome] = {}
        for number, request in enumerate(requests):
            try:
                items[number] = self._runs.item(request)
            except Failure as failure:
                outcomes[number] = failure
        return items, outcomes

    def _ask(self, items: list[Any], requests: list[Request]) -> tuple[Sequence[Any] | None, float]:
        more = (
            {"request_headers": [readable(request.headers) for request in requests]} if self._headers else {}
        )
        started = perf_counter()
        try:
            results = list(self._coroutines.finished(self._function(items, **more))) if items else []
        except BaseException as error:  # noqa: BLE001  # the user's code may raise anything: each is asked alone
            explaining.show(error)
            return None, 0.0
        if len(results) != len(items):
            explaining.say(
                f"run_batch() returned {len(results)} results for {len(items)} items: each is asked alone"
            )
            return None, 0.0
        return results, (perf_counter() - started) * 1000

    def _written(self, result: Any, request: Request, elapsed_ms: float) -> Outcome:
        try:
            return self._runs.reply(result, request, elapsed_ms)
        except Failure as failure:
            return failure


class _Row(NamedTuple):
    number: int
    inputs: Dict[str, Any]
    rows: int


class InferBatches:
    """A script's `infer()` over requests whose arrays can be put one under another."""

    def __init__(self, infers: Infers, answer: Answer) -> None:
        self._infers = infers
        self._answer = answer

    def answer(self, requests: Sequence[Request]) -> list[Outcome]:
        """Answer requests in their order."""
        if len(requests) == 1:
            return [alone(self._answer, requests[0])]
        outcomes: dict[int, Outcome] = {}
        groups: dict[Any, list[_Row]] = {}
        for number, request in enumerate(requests):
            try:
                inputs = self._infers.inputs_of(request)
            except Failure as failure:
                outcomes[number] = failure
                continue
            shape = _stackable(inputs)
            groups.setdefault(shape[0] if shape else number, []).append(
                _Row(number, inputs, shape[1] if shape else 0)
            )
        for key, rows in groups.items():
            outcomes.update(self._together(rows, requests, stackable=isinstance(key, tuple)))
        return [outcomes[number] for number in range(len(requests))]

    def _together(
        self, rows: list[_Row], requests: Sequence[Request], *, stackable: bool
    ) -> dict[int, Outcome]:
        outputs, elapsed_ms = self._ask(rows, requests) if stackable and len(rows) > 1 else (None, 0.0)
        found: dict[int, Outcome] = {}
        start = 0
        for row in rows:
            request = requests[row.number]
            if outputs is None:
                found[row.number] = alone(self._answer, request)
                continue
            part = {name: value[start : start + row.rows] for name, value in outputs.items()}
            start += row.rows
            try:
                found[row.number] = self._infers.reply(part, request, elapsed_ms)
            except Failure as failure:
                found[row.number] = failure
        return found

    def _ask(self, rows: list[_Row], requests: Sequence[Request]) -> tuple[dict[str, Any] | None, float]:
        """Return the outputs of all rows; None where they cannot be told apart by row again."""
        inputs = {
            name: self._infers.arrays.stacked([row.inputs[name] for row in rows]) for name in rows[0].inputs
        }
        try:
            result, elapsed_ms = self._infers.ask(inputs, requests[rows[0].number])
        except Failure:
            return None, 0.0
        outputs = self._infers.arrays.rows_of(self._infers.named(result), sum(row.rows for row in rows))
        return outputs, elapsed_ms


def _stackable(inputs: dict[str, Any]) -> tuple[Any, int] | None:
    """Return what must agree for arrays to be stacked, and their rows; None where they cannot be."""
    counts = {array.shape[0] if array.ndim else -1 for array in inputs.values()}
    if len(counts) != 1 or min(counts) < 0:
        return None
    return tuple(
        sorted((name, str(array.dtype), array.shape[1:]) for name, array in inputs.items())
    ), counts.pop()


def batches_of(
    module: ModuleType,
    entry: str,
    runs: Runs | None,
    infers: Infers | None,
    answer: Answer,
    coroutines: Coroutines,
) -> Callable[[Sequence[Request]], List[Outcome]] | None:
    """Return how a script answers batches; None where it declares no way. Raises `ScriptError`."""
    by_run = _run_batches(module, entry, runs, answer, coroutines)
    by_infer = _infer_batches(module, entry, infers, answer)
    if by_run is None or by_infer is None:
        return by_run or by_infer

    def answer_both(requests: Sequence[Request]) -> list[Outcome]:
        found: dict[int, Outcome] = {}
        for kind, ask in ((ScoreRequest, by_run), (InferRequest, by_infer)):
            numbers = [number for number, request in enumerate(requests) if type(request) is kind]
            if numbers:
                found.update(zip(numbers, ask([requests[number] for number in numbers])))
        return [found[number] for number in range(len(requests))]

    return answer_both


def _run_batches(
    module: ModuleType, entry: str, runs: Runs | None, answer: Answer, coroutines: Coroutines
) -> Callable[[Sequence[Request]], List[Outcome]] | None:
    function = getattr(module, RUN_BATCH, None)
    if runs is None or not callable(function):
        return None
    signature = check(function, RUN_BATCH, entry)
    if runs.reader.lone:
        raise broken(
            f"{entry} has {RUN_BATCH}(), but {runs.reader.lone}",
            f"take that decorator off run(), or rename {RUN_BATCH}()",
        )
    return RunBatches(runs, answer, function, coroutines, headers=signature.wants_headers).answer


def _infer_batches(
    module: ModuleType, entry: str, infers: Infers | None, answer: Answer
) -> Callable[[Sequence[Request]], List[Outcome]] | None:
    if infers is None or not getattr(module, BATCHABLE, False):
        return None
    if infers.wants_headers:
        raise broken(
            f"{entry} sets {BATCHABLE}, but its infer() takes request_headers, which differ from request to request",
            "take request_headers out of infer()",
        )
    for one in infers.declared.inputs or ():
        if not one.shape or one.shape[0] != -1:
            raise broken(
                f"{entry} sets {BATCHABLE}, but INPUTS fixes the first dimension of '{one.name}'",
                "declare it as -1",
            )
    return InferBatches(infers, answer).answer
