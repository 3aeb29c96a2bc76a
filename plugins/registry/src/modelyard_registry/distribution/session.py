"""Ask one server: log in, follow, try again, and tell plainly what went wrong.

One session an event loop, since connections belong to one; it ends with the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus
from weakref import WeakValueDictionary

import attrs
from modelyard.api import ModelyardError, Unavailable, UserError

from modelyard_registry.distribution.logins.credentials import Credentials
from modelyard_registry.distribution.logins.login import Header, Login
from modelyard_registry.distribution.logins.sources import find_credentials
from modelyard_registry.distribution.messages import Body, Cut, Reply, Request
from modelyard_registry.distribution.places import UntrustedPlace, follow, origin_of
from modelyard_registry.distribution.presence import Presence
from modelyard_registry.distribution.reading import read_whole
from modelyard_registry.distribution.refusals import place_of, quote, refuse, unreachable
from modelyard_registry.distribution.retrying import Patience, persist
from modelyard_registry.distribution.servers import Server
from modelyard_registry.distribution.transport import Timing, Transport

MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@attrs.frozen
class Limits:
    """How much is done at once, and how patiently."""

    uploads: int = 4
    """Blobs on their way at once; more only share the same line."""
    chunk_bytes: int = 64 * 1024 * 1024
    """Larger blobs go in pieces of this size, below what proxies usually let through."""
    patience: Patience = attrs.field(factory=Patience)
    timing: Timing = attrs.field(factory=Timing)


@attrs.frozen
class Call:
    """One request to the registry. `path` is below `/v2/`, or a whole address that it named itself."""

    method: str
    path: str
    scopes: frozenset[str]
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: Body | None = None
    is_repeatable: bool = True
    """False = after a failure the caller asks how far it went, before it sends again."""


@attrs.frozen
class Answer:
    """A small reply, read to its end."""

    status: int
    content: bytes
    header: Callable[[str], str]


class Session:
    """What one event loop shares: connections, tokens, what was seen, and the places in the queue of uploads."""

    def __init__(self, server: Server, environ: Mapping[str, str], limits: Limits) -> None:
        self.server = server
        self.limits = limits
        self.uploads = asyncio.Semaphore(limits.uploads)
        self.presence = Presence(limits.patience.clock)
        self._transport = Transport(server.origin, server.ca_file, limits.timing)
        self._environ = environ
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._login = Login(server, self._find, self._send, limits.patience.clock)

    async def open(self, call: Call) -> Reply:
        """Send a call; give whatever the registry finally says. Raises `Unavailable` when it says nothing."""
        try:
            return await self.attempt(call)
        except Cut as cut:
            raise self.unreachable(call, cut) from cut

    async def attempt(self, call: Call) -> Reply:
        """Send a call; raises `Cut` when the connection fails and the call is not repeatable."""
        if call.is_repeatable:
            return await persist(lambda: self._logged_in(call), self.limits.patience)
        return await self._logged_in(call)

    async def take(self, call: Call, *, ok: tuple[int, ...], most_bytes: int = 64 * 1024) -> Answer:
        """Send a call and read the small answer whole; raises unless its status is `ok`."""
        attempt = 0
        while True:
            async with aclosing(await self.open(call)) as reply:
                if reply.status not in ok:
                    raise self.refusal(call, reply)
                try:
                    content = await read_whole(reply, most_bytes, place_of(self.url(call)))
                    return Answer(reply.status, content, reply.header)
                except Cut as cut:
                    if not await self.limits.patience.rest(attempt):
                        raise self.unreachable(call, cut) from cut
            attempt += 1

    def turn(self, what: str) -> asyncio.Lock:
        """Give the lock of whatever is read, changed and written back."""
        return self._turns.setdefault(what, asyncio.Lock())

    def url(self, call: Call) -> str:
        """Say the whole address of a call."""
        return call.path if "://" in call.path else f"{self.server.origin}/v2/{call.path}"

    def refusal(self, call: Call, reply: Reply) -> ModelyardError:
        """Turn an answer that is no success into the error to raise."""
        return refuse(Request(call.method, self.url(call)), reply, login=self.server.login)

    def unreachable(self, call: Call, cut: Cut) -> Unavailable:
        """Say that the registry did not answer."""
        return unreachable(self.url(call), cut)

    def next_url(self, call: Call, reply: Reply) -> str:
        """Say where the reply's `Location` leads; raises where it must not lead."""
        location = reply.header("location")
        try:
            return follow(self.url(call), location, self.server.origin)
        except UntrustedPlace as why:
            raise UserError(
                f"the registry leads to where nothing is sent: {why}",
                place=f"{place_of(self.url(call))} names {quote(place_of(location))}",
                remedy=f"look at host of {self.server.name} in registries.toml, and at the registry",
            ) from why

    async def aclose(self) -> None:
        """End every connection."""
        await self._transport.aclose()

    async def _find(self) -> Credentials | None:
        return await find_credentials(self.server, self._environ, self._send)

    async def _send(self, request: Request) -> Reply:
        try:
            return await persist(lambda: self._transport.open(request), self.limits.patience)
        except Cut as cut:
            raise unreachable(request.url, cut) from cut

    async def _logged_in(self, call: Call) -> Reply:
        sent = await self._login.header(call.scopes) if self._is_ours(self.url(call)) else {}
        reply, url = await self._followed(call, sent)
        if reply.status != HTTPStatus.UNAUTHORIZED or not self._is_ours(url):
            return reply
        better = await self._login.answer(reply.headers("www-authenticate"), call.scopes, sent)
        return reply if better is None else (await self._followed(call, better))[0]

    async def _followed(self, call: Call, login: Header) -> tuple[Reply, str]:
        at = call
        for _ in range(MOST_REDIRECTS + 1):
            url = self.url(at)
            # storage elsewhere is asked by its signed address alone: the login stays here
            headers = {**call.headers, **(login if self._is_ours(url) else {})}
            reply = await self._transport.open(Request(call.method, url, headers, call.body))
            if reply.status not in _REDIRECTS or call.method not in ("GET", "HEAD"):
                return reply, url
            await reply.aclose()
            at = attrs.evolve(at, path=self.next_url(at, reply))
        raise UserError(
            f"the registry redirects more than {MOST_REDIRECTS} times",
            place=place_of(self.url(call)),
            remedy="look whether a registry is at this address",
        )

    def _is_ours(self, url: str) -> bool:
        return origin_of(url) == self.server.origin
