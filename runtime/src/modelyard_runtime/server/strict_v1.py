"""`compat: strict-v1` over HTTP: the paths that v1 had, answered as v1 answered them where it was wrong too.

What v1 did not have (`/v2`, gRPC, the status) answers as ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from modelyard_runtime.contract import StartContract
from modelyard_runtime.scoring import ScoreStream
from modelyard_runtime.server.cors import ASKED_METHOD, HeaderPairs
from modelyard_runtime.server.http import (
    LONG_ID,
    MAX_ID_CHARACTERS,
    Exchange,
    Handler,
    Receive,
    Route,
    Scope,
    Send,
    headers_of,
    route,
    writable,
)
from modelyard_runtime.server.problems import (
    UNEXPECTED,
    HeaderTooLarge,
    Problem,
    ResultUnusable,
    RunLeft,
    RunTimedOut,
    ScoringFailed,
    ScoringTimeout,
)
from modelyard_runtime.server.score import METHODS, its_own, scoring
from modelyard_runtime.server.service import Service
from modelyard_runtime.server.v1_words import CorsAsV1, name

_PAGE = b"""\
<html>
  <head>
    <title>Internal Server Error</title>
  </head>
  <body>
    <h1><p>Internal Server Error</p></h1>
    \n  </body>
</html>
"""
"""gunicorn's, for a worker that died."""
_PAGE_TYPE = (b"content-type", b"text/html")


class Manners(NamedTuple):
    """What answers say that a service gives as v1 did."""

    name: HeaderPairs
    cors: CorsAsV1
    timeout_s: float


class ExchangeAsV1(Exchange):
    """One request to a path of v1's. `methods` are those that v1 routed: to others it said next to nothing."""

    __slots__ = ("_manners", "_methods")

    def __init__(  # ASGI's four beside its own two
        self,
        manners: Manners,
        methods: frozenset[str],
        service: Service,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        super().__init__(service, scope, receive, send)
        self._manners = manners
        self._methods = methods

    def echo(self) -> HeaderPairs:
        """Work out what answers repeat; an id that is refused leaves what had been found by then in `echoed`."""
        if self.method not in self._methods:
            return []
        manners, sent = self._manners, self.headers
        self.echoed = found = [*manners.name, *manners.cors.headers(sent, self.method)]
        if b"traceid" in sent:
            found.append((b"traceid", sent[b"traceid"]))
        request_id = sent.get(b"x-request-id") or self.named()
        if len(request_id) > MAX_ID_CHARACTERS:
            raise HeaderTooLarge(LONG_ID)
        found.append((b"x-request-id", request_id))
        found += self.older_ids() or [(b"x-ms-request-id", request_id)]
        return found

    async def answer_problem(self, problem: Problem) -> None:
        """Send v1's error body: a message alone."""
        problem = as_v1(problem, self._manners.timeout_s)
        if isinstance(problem, RunLeft):
            self.echoed = []
            await self.answer(500, [_PAGE_TYPE], _PAGE)
            return
        body = json.dumps({"message": writable(str(problem))}).encode()
        await self.answer(problem.status, headers_of(problem), body)


def as_v1(problem: Problem, timeout_s: float) -> Problem:
    """Return the problem as v1 told it where v1 was wrong."""
    if isinstance(problem, ResultUnusable):
        return Problem(UNEXPECTED)
    late = isinstance(problem, RunTimedOut) or (isinstance(problem, ScoringTimeout) and problem.run_failed)
    return ScoringFailed(f"Scoring timeout after {timeout_s * 1000:.0f} ms") if late else problem


def routes(
    contract: StartContract, handlers: Mapping[str, Handler], nowhere: Handler
) -> tuple[dict[str, Route], Route]:
    """Return the routes of v1's paths and that of all others. `handlers`: the paths that are only looked at."""
    manners = Manners(name(contract), CorsAsV1(contract.cors_origins), contract.timeout_s)
    looked_at = partial(ExchangeAsV1, manners, frozenset({"GET", "HEAD", "OPTIONS"}))
    scored = partial(ExchangeAsV1, manners, METHODS | {"HEAD"})
    unrouted = partial(ExchangeAsV1, manners, frozenset())
    return (
        {
            **{path: route(handler, looked_at) for path, handler in handlers.items()},
            "/score": route(_score, scored, counted=True),
        },
        route(nowhere, unrouted),
    )


async def _score(exchange: Exchange) -> None:
    # what browsers ask is told in `echoed`; v1 let raw scripts answer them beside that
    exchange.headers.pop(ASKED_METHOD, None)
    await _scored(exchange)


def _timed(stream: ScoreStream) -> HeaderPairs:
    return [*its_own(stream), (b"x-ms-run-fn-exec-ms", b"%.3f" % stream.elapsed_ms)]


_scored = scoring(_timed)
