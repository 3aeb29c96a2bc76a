"""`/score`: the v1 way to ask a model."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from modelyard_runtime.scoring import NotSerialisable, Script, decode_query, encode
from modelyard_runtime.server.http import JSON, Exchange, Scope, readable
from modelyard_runtime.server.problems import BadInput, Problem, ResultUnusable, ScoringFailed
from modelyard_runtime.server.service import ScriptRaised, Service

RUN_RAISED = "An unexpected error occurred in scoring script. Check the logs for more info."
"""v1's sentence; the traceback is in the log only, since it may show data."""


async def score(service: Service, exchange: Exchange) -> None:
    """Serve one request to `/score`."""
    exchange.allow("GET", "POST", "OPTIONS")
    if exchange.scope["method"] == "OPTIONS":
        await exchange.answer(200, [(b"allow", b"GET, POST, OPTIONS")], b"")
        return
    deadline = service.deadline()
    script = service.script
    body = await exchange.body(service.contract.max_body_bytes)
    text = _text(exchange.scope, body)
    sent = readable(exchange.headers) if script.wants_headers else {}
    work = partial(_run, script, text, sent)
    try:
        payload, elapsed_ms = await service.perform(work, deadline=deadline, gone=exchange.gone)
    except ScriptRaised as raised:
        raise problem_of(raised.failure) from raised
    headers = [
        JSON,
        (b"x-ms-run-function-failed", b"False"),
        (b"x-ms-run-fn-exec-ms", b"%.3f" % elapsed_ms),
    ]
    await exchange.answer(200, headers, payload)


def problem_of(failure: BaseException) -> Problem:
    """Say what the client is told about an exception out of a worker."""
    if isinstance(failure, NotSerialisable):
        return ResultUnusable(str(failure))
    return ScoringFailed(RUN_RAISED)


def _run(script: Script, text: str, headers: dict[str, str]) -> tuple[bytes, float]:
    started = time.perf_counter()
    result: Any = script.call(text, headers)
    elapsed_ms = (time.perf_counter() - started) * 1000
    return encode(result), elapsed_ms


def _text(scope: Scope, body: bytes) -> str:
    if scope["method"] == "GET":
        return decode_query(scope["query_string"])
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"Input cannot be decoded as UTF-8: {error}") from error
