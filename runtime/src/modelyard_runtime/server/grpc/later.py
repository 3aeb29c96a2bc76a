"""gRPC before it is loaded: protobuf takes 100 ms of CPU, which no start needs to wait for.

The first call loads it, on a thread; where none comes soon, `load` is called once the replica is ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard_runtime.server.http import Receive, Route, Scope, Send
    from modelyard_runtime.server.service import Service

CONTENT_TYPE = b"application/grpc"
OPEN_INFERENCE = "/inference.GRPCInferenceService/"
MODEL_INFER = f"{OPEN_INFERENCE}ModelInfer"


class Later:
    """A route that becomes the gRPC table."""

    __slots__ = ("_serve",)

    def __init__(self) -> None:
        self._serve: Route = self._load_and_serve

    def __call__(self, service: Service, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one call."""
        return self._serve(service, scope, receive, send)

    def load(self) -> None:
        """Import what serves gRPC; may be called on any thread, and again."""
        from modelyard_runtime.server.grpc.table import serve as loaded

        self._serve = loaded

    async def _load_and_serve(self, service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(self.load)
        await self._serve(service, scope, receive, send)


serve = Later()
