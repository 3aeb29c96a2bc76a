"""A bare pyvoy application, REST and gRPC, with the model on a thread: the floor under our server.

It checks, limits, times and counts nothing; what our server takes more than this is what its contract costs.
"""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import messages
import models
import numpy as np
import orjson
from hop import Hop

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

GRPC_HEADERS = [(b"content-type", b"application/grpc")]
JSON_HEADERS = [(b"content-type", b"application/json")]
OK = [(b"grpc-status", b"0")]


class Application:
    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"].startswith("/inference."):
            await self._grpc(await read(receive), send)
        else:
            await self._rest(await read(receive), send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        predict = models.load(os.environ["BENCH_VARIANT"])
        self._hop = Hop(functools.partial(score, predict))
        self._infer = functools.partial(messages.infer, predict)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _grpc(self, body: bytes, send: Send) -> None:
        answer = await self._hop.submit(body[5:], self._infer)
        framed = b"\0" + struct.pack(">I", len(answer)) + answer
        await send({"type": "http.response.start", "status": 200, "headers": GRPC_HEADERS, "trailers": True})
        await send({"type": "http.response.body", "body": framed, "more_body": False})
        await send({"type": "http.response.trailers", "headers": OK, "more_trailers": False})

    async def _rest(self, body: bytes, send: Send) -> None:
        answer = await self._hop.submit(body)
        await send({"type": "http.response.start", "status": 200, "headers": JSON_HEADERS})
        await send({"type": "http.response.body", "body": answer, "more_body": False})


async def read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left")
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def score(predict: models.Predict, body: bytes) -> bytes:
    rows = np.asarray(orjson.loads(body)["data"], np.float32)
    return orjson.dumps(predict(rows).tolist())


app = Application()
