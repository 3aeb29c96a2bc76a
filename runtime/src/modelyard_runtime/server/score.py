"""`/score`: the v1 way to ask a model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from modelyard_runtime.scoring import MAIN, Key, ScoreStream
from modelyard_runtime.server.cors import ASKED_METHOD
from modelyard_runtime.server.http import FAILED, HTML, JSON, NOT_FAILED, Exchange, Handler, route
from modelyard_runtime.server.problems import NO_SUCH_METHOD, MethodNotAllowed
from modelyard_runtime.worker.replies import HttpReply, Scored
from modelyard_runtime.worker.requests import ScoreRequest

METHODS = frozenset({"GET", "POST", "OPTIONS"})
MODEL_HEADER = b"modelyard-model"
"""Which of several models is asked: `name`, or `name:version`."""


Pairs = list[tuple[bytes, bytes]]


def scoring(begin: Callable[[ScoreStream], Pairs]) -> Handler:
    """Make the handler of `/score`. `begin` gives the headers with which an answer in pieces begins."""

    async def _score(exchange: Exchange) -> None:
        service, scope = exchange.service, exchange.scope
        if exchange.method not in METHODS:
            raise MethodNotAllowed(NO_SUCH_METHOD)
        if exchange.method == "OPTIONS" and ASKED_METHOD in exchange.headers:
            await exchange.answer(200, [HTML, NOT_FAILED, *service.cors.preflight(exchange.headers)], b"")
            return
        deadline = service.deadline()
        # first: between finding a pool and handing it the request nobody may take its place
        body = await exchange.body()
        wanted = exchange.headers.get(MODEL_HEADER)
        key = MAIN if wanted is None else _key_of(wanted)
        pool = service.pools.get(key) or await service.find(*key, deadline)
        about = pool.description
        if exchange.method == "OPTIONS" and (about is None or about.style != "http"):
            await exchange.answer(200, [HTML, NOT_FAILED], b"")
            return
        sent = scope["headers"] if about is None or about.needs_headers else ()
        request = ScoreRequest(exchange.method, scope["path"], scope["query_string"], sent, body)
        reply = await pool.submit(request, deadline, exchange.gone)
        if type(reply) is Scored:
            headers = [JSON, NOT_FAILED, (b"x-ms-run-fn-exec-ms", b"%.3f" % reply.elapsed_ms)]
            await exchange.answer(200, headers, reply.body)
        elif type(reply) is HttpReply:
            await exchange.answer(reply.status, _own_headers(reply), reply.body)
        else:
            await _stream(exchange, reply, begin(reply))

    return _score


def its_own(stream: ScoreStream) -> Pairs:
    """Return what a script says before its pieces; framing and ids are not its to set."""
    return [item for item in stream.headers if item[0].lower() not in _OURS]


score = route(scoring(its_own), counted=True)


def _key_of(wanted: bytes) -> Key:
    name, _, version = wanted.decode("utf-8", "replace").partition(":")
    return name, version


def _own_headers(reply: HttpReply) -> list[tuple[bytes, bytes]]:
    """Return a raw-HTTP script's headers; framing and ids are not its to set, whether it failed is."""
    kept = [(name, value) for name, value in reply.headers if name.lower() not in _OURS]
    if reply.run_failed:
        kept = [(name, value) for name, value in kept if name.lower() != FAILED[0]]
        kept.append(FAILED)
    kept.append((b"x-ms-run-fn-exec-ms", b"%.3f" % reply.elapsed_ms))
    return kept


_OURS = frozenset(
    {
        *(b"content-length", b"transfer-encoding", b"connection"),
        b"x-ms-run-fn-exec-ms",
        *(b"x-request-id", b"x-ms-request-id", b"x-ms-client-request-id"),
    }
)


async def _stream(exchange: Exchange, stream: ScoreStream, headers: Pairs) -> None:
    headers += exchange.echoed
    leaving = asyncio.create_task(_close_when_gone(exchange, stream))
    try:
        await exchange.send({"type": "http.response.start", "status": stream.status, "headers": headers})
        async for chunk in stream.chunks:
            await exchange.send({"type": "http.response.body", "body": chunk, "more_body": True})
        await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        leaving.cancel()
        stream.chunks.close()


async def _close_when_gone(exchange: Exchange, stream: ScoreStream) -> None:
    await exchange.gone()
    stream.chunks.close()
