"""The controller's side: publishes states to every router, knows what each took, hears load.

A state that a router refuses is withdrawn: the last one that all of them took is offered again, so
that one bad service never takes the others down. The reason stays in `status` until a later state is
taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from modelyard.api import Unavailable
from modelyard.router import protos
from modelyard.router.discovery import Conversation, Hub
from modelyard.router.loads import LoadListener, load_report
from modelyard.router.resources import EMPTY, Resources, resources
from modelyard.router.states import LoadReport, RouterState, XdsStatus, qualified_name

_VERSIONS_REMEMBERED = 1_000
_STOP_GRACE_SECONDS = 0.2


class XdsServer:
    """ADS and LRS on a unix socket, in the caller's event loop."""

    def __init__(self, socket: Path, *, on_load: Callable[[LoadReport], None] | None = None) -> None:
        self._socket = socket
        self._on_load = on_load
        self._hub = Hub(self._judge)
        self._loads = LoadListener(self._report)
        self._server: protos.Server | None = None
        self._services: tuple[str, ...] = ()
        self._sequence = 0
        self._published: dict[str, int] = {}
        self._state: RouterState | None = None
        self._wanted = EMPTY
        self._good = EMPTY
        self._nack = ""
        self._refused = 0
        self._taken: dict[Conversation, int] = {}
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Listen; a socket that a dead controller left behind is replaced."""
        self._socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._server = protos.make_server(self._socket, self._hub.serve, self._loads.serve)
        await self._server.start()
        self._socket.chmod(0o600)

    async def stop(self) -> None:
        """Hang up; routers keep what they have."""
        if self._server is not None:
            await self._server.stop(_STOP_GRACE_SECONDS)
        self._socket.unlink(missing_ok=True)

    def publish(self, state: RouterState) -> str:
        """Offer a state to every router and return its version; the same state again changes nothing."""
        if state == self._state:  # every tick asks, and to encode is by far the dearest part of one
            return self._wanted.version
        wanted = resources(state)
        self._state = state
        self._services = tuple(qualified_name(service) for service in state.services)
        if wanted.version == self._wanted.version and self._sequence:
            return wanted.version
        self._wanted = wanted
        self._sequence += 1
        self._remember(wanted.version)
        self._hub.offer(wanted)
        self._judge()
        return wanted.version

    async def acknowledged(self, version: str, *, timeout_seconds: float) -> None:
        """Wait until every connected router took this version or a newer one.

        Raises `Unavailable` when a router refused it, with the router's words, or when the time is up.
        """
        sequence = self._published.get(version)
        if sequence is None:
            raise Unavailable(f"version {version} was never published", remedy="publish the state first")
        try:
            async with asyncio.timeout(timeout_seconds):
                while not self._taken_by_all(sequence):
                    self._raise_if_refused(sequence)
                    await self._changed.wait()
        except TimeoutError:
            raise self._silence(version, timeout_seconds) from None

    @property
    def status(self) -> XdsStatus:
        """Who is connected, what they took, and the refusal that stands."""
        connected = bool(self._hub.conversations)
        return XdsStatus(
            connected=connected, version=self._good.version if self._good.types else "", nack=self._nack
        )

    def _remember(self, version: str) -> None:
        self._published.pop(version, None)
        self._published[version] = self._sequence
        while len(self._published) > _VERSIONS_REMEMBERED:
            del self._published[next(iter(self._published))]

    def _taken_by_all(self, sequence: int) -> bool:
        conversations = self._hub.conversations
        return bool(conversations) and all(self._taken.get(c, 0) >= sequence for c in conversations)

    def _raise_if_refused(self, sequence: int) -> None:
        if sequence <= self._refused:
            raise Unavailable(
                f"the router refused the new configuration: {self._nack}",
                place=str(self._socket),
                remedy="what was served before still is; mend what the message names and deploy again",
            )

    def _silence(self, version: str, timeout_seconds: float) -> Unavailable:
        who = "a router has not answered" if self._hub.conversations else "no router is connected"
        return Unavailable(
            f"{who}: version {version} was not acknowledged within {timeout_seconds:g} s",
            place=str(self._socket),
            remedy="look at the router's log; `engine up` starts a router that is gone",
        )

    def _judge(self) -> None:
        """Look again at what the routers said; runs after every ask and every publication."""
        offered = self._hub.offered
        refusals = (c.rejection_of_any(offered) for c in self._hub.conversations)
        refusal = next((text for text in refusals if text), "")
        if refusal and offered is self._wanted:
            self._withdraw(refusal)
        elif offered is self._wanted:
            self._count_takers(offered)
        self._changed.set()
        self._changed = asyncio.Event()

    def _withdraw(self, refusal: str) -> None:
        self._nack, self._refused = refusal, self._sequence
        if self._good.types and self._good.version != self._wanted.version:
            self._hub.offer(self._good)

    def _count_takers(self, offered: Resources) -> None:
        conversations = self._hub.conversations
        took = {c: self._sequence for c in conversations if c.took_all(offered)}
        self._taken = {c: self._taken[c] for c in conversations if c in self._taken} | took
        if conversations and len(took) == len(conversations) and offered.types:
            self._good, self._nack = offered, ""

    def _report(self, _content: bytes) -> None:
        if self._on_load is not None:
            self._on_load(load_report(self._loads.total(), self._services))
