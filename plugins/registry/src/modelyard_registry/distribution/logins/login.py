"""Log in to one server: which header a request carries, and what to do when it is refused.

A token is fetched once for each set of scopes and kept until shortly before its end; so are credentials.
They go to the registry and to realms that the user allows, nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing

from modelyard.api import Unavailable, UserError

from modelyard_registry.distribution.logins.challenges import Basic, Bearer, choose, parse
from modelyard_registry.distribution.logins.credentials import Credentials, basic_header
from modelyard_registry.distribution.logins.tokens import Token, read_token, request_token
from modelyard_registry.distribution.messages import Reply, Request
from modelyard_registry.distribution.places import UntrustedPlace, check_realm
from modelyard_registry.distribution.reading import read_whole
from modelyard_registry.distribution.refusals import place_of, quote, refuse
from modelyard_registry.distribution.servers import Server

MOST_TOKEN_BYTES = 256 * 1024
KEPT_SECONDS = 300.0
"""A password that somebody changed is noticed after this; asking a helper each time would be slow."""
_EARLY_SECONDS = 60.0

Header = dict[str, str]


class Login:
    """What one event loop knows about logging in to one server."""

    def __init__(
        self,
        server: Server,
        find: Callable[[], Awaitable[Credentials | None]],
        send: Callable[[Request], Awaitable[Reply]],
        clock: Callable[[], float],
    ) -> None:
        self._server, self._find, self._send, self._clock = server, find, send, clock
        self._asked: Bearer | Basic | None = None
        self._tokens: dict[frozenset[str], Token] = {}
        self._credentials: tuple[Credentials | None, float] | None = None
        # one of many uploads fetches the token that all of them need
        self._lock = asyncio.Lock()

    async def header(self, scopes: frozenset[str]) -> Header:
        """Give what the server is known to want; nothing before it first asked."""
        async with self._lock:
            if isinstance(self._asked, Basic):
                return await self._basic()
            if isinstance(self._asked, Bearer):
                return await self._bearer(self._asked, scopes, scopes)
            return {}

    async def answer(self, challenges: Iterable[str], scopes: frozenset[str], sent: Header) -> Header | None:
        """Answer a 401 to a request that carried `sent`; None = there is nothing better to carry."""
        async with self._lock:
            asked = choose(parse(challenges))
            if asked is None:
                return None
            self._asked = asked
            if isinstance(asked, Basic):
                found = await self._basic()
            else:
                self._forget(scopes, sent)
                found = await self._bearer(asked, scopes, scopes | asked.scopes)
            if found == sent:
                self._credentials = None
                return None
            return found

    def _forget(self, scopes: frozenset[str], sent: Header) -> None:
        # another request may have fetched a new one since ours was sent
        kept = self._tokens.get(scopes)
        if kept and sent == _show(kept):
            del self._tokens[scopes]

    async def _basic(self) -> Header:
        found = await self._who()
        return basic_header(found) if found and not found.is_identity_token else {}

    async def _bearer(self, bearer: Bearer, scopes: frozenset[str], asked: frozenset[str]) -> Header:
        kept = self._tokens.get(scopes)
        if kept is None or not kept.is_fresh(self._clock()):
            kept = await self._fetch(bearer, asked)
            self._tokens[scopes] = kept
        return _show(kept)

    async def _fetch(self, bearer: Bearer, scopes: frozenset[str]) -> Token:
        try:
            check_realm(bearer.realm, self._server.origin, self._server.realms)
        except UntrustedPlace as why:
            raise self._hostile(bearer, why) from why
        started = self._clock()
        request = request_token(bearer, scopes, await self._who())
        async with aclosing(await self._send(request)) as reply:
            if reply.status != 200:  # noqa: PLR2004  the specification's only success
                self._credentials = None
                raise refuse(request, reply, login=self._server.login)
            content = await read_whole(reply, MOST_TOKEN_BYTES, place_of(request.url))
        try:
            return read_token(content, started)
        except ValueError as failure:
            remedy = "look at the log of the token server"
            raise Unavailable(str(failure), place=place_of(bearer.realm), remedy=remedy) from failure

    async def _who(self) -> Credentials | None:
        now = self._clock()
        if self._credentials is None or now >= self._credentials[1]:
            found = await self._find()
            life = found.life_seconds if found and found.life_seconds is not None else None
            kept = KEPT_SECONDS if life is None else max(life - _EARLY_SECONDS, 0)
            self._credentials = found, now + kept
        return self._credentials[0]

    def _hostile(self, bearer: Bearer, why: UntrustedPlace) -> UserError:
        return UserError(
            f"the registry wants the login shown elsewhere, which was not done: {why}",
            place=f"{self._server.origin} names the realm {quote(bearer.realm)}",
            remedy=f"look at host and realms of {self._server.name} in registries.toml",
        )


def _show(token: Token) -> Header:
    return {"Authorization": f"Bearer {token.secret.reveal()}"}
