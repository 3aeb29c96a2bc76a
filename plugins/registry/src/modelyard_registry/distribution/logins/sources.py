"""Find the credentials for a server: Docker's configuration, a helper of it, or a cloud's token exchange."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing

from modelyard.api import Secret, Unavailable

from modelyard_registry.distribution.logins.clouds import EXCHANGES, Asking, Exchange
from modelyard_registry.distribution.logins.credentials import (
    Credentials,
    find_docker_config,
    read_docker_config,
)
from modelyard_registry.distribution.logins.helpers import ask_helper
from modelyard_registry.distribution.messages import Reply, Request
from modelyard_registry.distribution.reading import read_whole
from modelyard_registry.distribution.refusals import place_of
from modelyard_registry.distribution.servers import Server

MOST_BYTES = 64 * 1024
Send = Callable[[Request], Awaitable[Reply]]


async def find_credentials(server: Server, environ: Mapping[str, str], send: Send) -> Credentials | None:
    """Look where the server's `auth` says; None = ask as nobody in particular."""
    if server.auth == "none":
        return None
    if exchange := EXCHANGES.get(server.auth):
        return await _exchange(exchange, server, environ, send)
    config = await asyncio.to_thread(read_docker_config, find_docker_config(environ))
    if helper := config.helper(server.login):
        return await ask_helper(helper, server.login) or config.password(server.login)
    return config.password(server.login)


async def _exchange(
    exchange: Exchange, server: Server, environ: Mapping[str, str], send: Send
) -> Credentials:
    now = dt.datetime.now(tz=dt.UTC)
    identity = {name: Secret(environ[name]) for name in exchange.identity if environ.get(name)}
    request = exchange.ask(Asking(server.origin.netloc, server.exchange_url, server.names, identity, now))
    async with aclosing(await send(request)) as reply:
        if not 200 <= reply.status < 300:  # noqa: PLR2004  success, as HTTP counts
            raise _failed(server, request, f"it answers with status {reply.status}")
        content = await read_whole(reply, MOST_BYTES, place_of(request.url))
    try:
        return exchange.read(content, now)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise _failed(server, request, "its answer is not the cloud's") from None


def _failed(server: Server, request: Request, why: str) -> Unavailable:
    return Unavailable(
        f"the token exchange for {server.name} gives no password: {why}",
        place=place_of(request.url),
        remedy=f"look at exchange_url of {server.name} in registries.toml, and at the machine's identity",
    )
