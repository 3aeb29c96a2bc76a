"""Keep one session for each event loop, and end it when its loop ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from modelyard_registry.distribution.servers import Server
from modelyard_registry.distribution.session import Limits, Session


class Sessions:
    """The sessions with one server; a record is used from whichever loop its caller runs."""

    def __init__(self, server: Server, environ: Mapping[str, str], limits: Limits) -> None:
        self._server, self._environ, self._limits = server, environ, limits
        self._kept: dict[asyncio.AbstractEventLoop, tuple[Session, asyncio.Task[None]]] = {}

    def here(self) -> Session:
        """Give the running loop's session."""
        loop = asyncio.get_running_loop()
        if loop not in self._kept:
            session = Session(self._server, self._environ, self._limits)
            self._kept[loop] = session, loop.create_task(self._keep(session), name="registry connections")
        return self._kept[loop][0]

    async def _keep(self, session: Session) -> None:
        # whoever ends a loop cancels its tasks first and waits for them: connections are closed in order
        try:
            await asyncio.Event().wait()
        finally:
            del self._kept[asyncio.get_running_loop()]
            await session.aclose()
