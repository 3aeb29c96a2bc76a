"""The serving side of ADS: what one client was told and took, and the hub that tells them all.

`Conversation` decides, `Hub` speaks. State of the world only: an answer holds every resource of its type.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping

import attrs

from modelyard.router import protos
from modelyard.router.protos import Answer, Ask, Stream
from modelyard.router.resources import EMPTY, Resources

_FOLLOWERS: Mapping[str, str] = {protos.CLUSTER: protos.ENDPOINTS, protos.LISTENER: protos.ROUTES}
"""Envoy warms a changed cluster, or listener, until its endpoints, or routes, were said again."""


@attrs.define
class _Subscription:
    names: tuple[str, ...]
    again: bool = True
    sent: str = ""
    nonce: str = ""
    acked: str = ""
    rejected: str = ""
    error: str = ""


class Conversation:
    """One ADS stream: hears asks, works out which answers are due. No I/O."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, _Subscription] = {}
        self._answers = 0

    def hear(self, ask: Ask) -> None:
        """Take in a subscription, an ACK or a NACK; one that answers an older answer is ignored."""
        known = self._subscriptions.get(ask.type_url)
        if known is None or not ask.nonce:
            self._subscriptions[ask.type_url] = _Subscription(names=ask.names)
            return
        if ask.nonce != known.nonce:
            return
        if ask.error:
            known.rejected, known.error = known.sent, ask.error
        elif ask.version == known.sent:
            known.acked, known.rejected, known.error = known.sent, "", ""
        if ask.names != known.names:
            known.names, known.again = ask.names, True

    def answers(self, offered: Resources) -> Iterator[Answer]:
        """Give what is due, in the order in which it must be sent."""
        forced: set[str] = set()
        for url in protos.TYPES:
            known, held = self._subscriptions.get(url), offered.types.get(url)
            if known is None or held is None:
                continue
            if known.sent == held.version and not known.again and url not in forced:
                continue
            self._answers += 1
            known.sent, known.nonce, known.again = held.version, str(self._answers), False
            if url in _FOLLOWERS:
                forced.add(_FOLLOWERS[url])
            yield Answer(url, held.version, known.nonce, tuple(held.items.values()))

    def took(self, url: str, offered: Resources) -> bool:
        """Say whether the client acknowledged this type as it is offered.

        Envoy subscribes to no endpoints while it has no cluster, and then acknowledges none.
        """
        held, known = offered.types.get(url), self._subscriptions.get(url)
        if held is None or (not held.items and url == protos.ENDPOINTS):
            return True
        return known is not None and known.acked == held.version

    def took_all(self, offered: Resources) -> bool:
        """Say whether the client acknowledged everything that is offered."""
        return all(self.took(url, offered) for url in protos.TYPES)

    def rejection(self, url: str, offered: Resources) -> str:
        """Return why the client refused this type as it is offered; empty when it did not."""
        held, known = offered.types.get(url), self._subscriptions.get(url)
        refused = held is not None and known is not None and known.rejected == held.version
        return known.error if known is not None and refused else ""

    def rejection_of_any(self, offered: Resources) -> str:
        """Return the first reason why the client refused something that is offered."""
        return next((text for url in protos.TYPES if (text := self.rejection(url, offered))), "")


class Hub:
    """Offers one set of resources to every client that is connected; `on_change` hears of each answer."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._wakes: dict[Conversation, asyncio.Event] = {}
        self.offered = EMPTY

    @property
    def conversations(self) -> tuple[Conversation, ...]:
        """The clients connected now."""
        return tuple(self._wakes)

    @property
    def taken(self) -> bool:
        """Whether somebody is connected and everybody took all that is offered."""
        return bool(self._wakes) and all(c.took_all(self.offered) for c in self._wakes)

    def offer(self, resources: Resources) -> None:
        """Offer these resources from now on."""
        self.offered = resources
        for wake in self._wakes.values():
            wake.set()

    async def serve(self, stream: Stream[Ask, Answer]) -> None:
        """Hold one conversation to its end."""
        conversation, wake = Conversation(), asyncio.Event()
        self._wakes[conversation] = wake
        listening = asyncio.create_task(self._listen(stream, conversation, wake))
        try:
            while not listening.done():
                await wake.wait()
                wake.clear()
                for answer in conversation.answers(self.offered):
                    await stream.write(answer)
        finally:
            del self._wakes[conversation]
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
            self._on_change()

    async def _listen(
        self, stream: Stream[Ask, Answer], conversation: Conversation, wake: asyncio.Event
    ) -> None:
        try:
            while (ask := await stream.read()) is not None:
                conversation.hear(ask)
                self._on_change()
                wake.set()
        finally:
            asyncio.get_running_loop().call_soon(wake.set)
