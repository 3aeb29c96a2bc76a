"""Send one request over httpx: no redirect followed, no answer decoded, nothing logged.

The one module that knows httpx. What goes wrong on the way is a `Cut`, but for TLS that cannot be trusted:
trying again will not mend that.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from modelyard.api import ModelyardError, UserError

from modelyard_registry.distribution.messages import Cut, Request
from modelyard_registry.distribution.places import Origin, is_loopback
from modelyard_registry.distribution.refusals import place_of

if TYPE_CHECKING:
    import httpx

MOST_ERROR_BYTES = 64 * 1024
CONNECTIONS = 16
USER_AGENT = "modelyard"


@attrs.frozen
class Timing:
    """How long the other side may be silent, in seconds."""

    connect: float = 10.0
    silence: float = 120.0
    """Storage behind a registry takes its time to close a large upload."""
    beginning: float = 240.0
    """How long the head of an answer may drip in, when nothing large is sent."""


class HttpReply:
    """A reply under way."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.content = b""
        self._response = response
        self._is_read = False

    def header(self, name: str) -> str:
        """Give a header, empty when absent."""
        return str(self._response.headers.get(name, ""))

    def headers(self, name: str) -> tuple[str, ...]:
        """Give every line of a header."""
        return tuple(self._response.headers.get_list(name))

    async def finish(self) -> None:
        """Read an empty body to its end: only then its connection is used again."""
        async for _ in self.pieces():
            pass
        self._is_read = True

    async def pieces(self) -> AsyncIterator[bytes]:
        """Stream the body as it was sent."""
        import httpx

        if self._is_read:
            return
        try:
            async for piece in self._response.aiter_raw():
                yield piece
        except (httpx.HTTPError, httpx.StreamError) as failure:
            raise Cut(_why(failure)) from failure

    async def aclose(self) -> None:
        """Give the connection back."""
        await self._response.aclose()


class Transport:
    """Connections of one event loop to a registry and to what it leads to."""

    def __init__(self, registry: Origin, ca_file: Path | None, timing: Timing) -> None:
        self._registry = registry
        self._ca_file = ca_file
        self._timing = timing
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def open(self, request: Request) -> HttpReply:
        """Send a request; the caller closes the reply unless it is an error."""
        client = await self._connected()
        import httpx

        try:
            async with asyncio.timeout(None if request.body else self._timing.beginning):
                response = await client.send(_build(client, request), stream=True)
            reply = HttpReply(response)
            if response.status_code >= HTTPStatus.BAD_REQUEST:
                reply.content = await _first_bytes(reply)
                await reply.aclose()
            elif _is_empty(response):
                await reply.finish()
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            raise _translate(failure, request, self._ca_file) from failure
        except TimeoutError as failure:
            raise Cut(f"no answer began in {self._timing.beginning:g} s") from failure
        return reply

    async def aclose(self) -> None:
        """End every connection."""
        if self._client:
            await self._client.aclose()

    async def _connected(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._client is None:
                # the library and the system's certificates take a while to read: not in the loop's time
                self._client = await asyncio.to_thread(_client, self._registry, self._ca_file, self._timing)
        return self._client


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Trust what the system trusts, and the user's own authority as well."""
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as failure:
            raise UserError(
                "the registry's certificate authority cannot be read",
                place=str(ca_file),
                remedy="name a file of PEM certificates in ca_file of registries.toml",
            ) from failure
    return context


def _client(registry: Origin, ca_file: Path | None, timing: Timing) -> httpx.AsyncClient:
    import httpx

    for noisy in ("httpx", "httpcore"):
        # both log whole addresses, and those of storage carry signatures
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return httpx.AsyncClient(
        verify=trusting(ca_file),
        timeout=httpx.Timeout(timing.silence, connect=timing.connect, pool=None),
        limits=httpx.Limits(max_connections=CONNECTIONS),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        # a registry on this machine is not behind the proxy of this network
        trust_env=not is_loopback(registry.host),
    )


def _build(client: httpx.AsyncClient, request: Request) -> httpx.Request:
    headers = dict(request.headers)
    if request.body:
        headers["Content-Length"] = str(request.body.size)
    content = request.body.open() if request.body else None
    return client.build_request(request.method, request.url, headers=headers, content=content)


def _is_empty(response: httpx.Response) -> bool:
    if response.request.method == "HEAD" or response.status_code == HTTPStatus.NO_CONTENT:
        return True
    return bool(response.headers.get("content-length") == "0")


async def _first_bytes(reply: HttpReply) -> bytes:
    content = b""
    try:
        async for piece in reply.pieces():
            content += piece
            if len(content) >= MOST_ERROR_BYTES:
                break
    except Cut:
        # the status is the answer; its explanation may be missing
        return content
    return content[:MOST_ERROR_BYTES]


def _translate(failure: Exception, request: Request, ca_file: Path | None) -> Exception:
    tls = _tls_failure(failure)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return _untrusted(tls.verify_message, request, ca_file)
    if tls:
        return _untrusted("it does not speak TLS as it should", request, ca_file)
    return Cut(_why(failure))


def _untrusted(why: str, request: Request, ca_file: Path | None) -> ModelyardError:
    remedy = (
        f"look whether {ca_file} signed it" if ca_file else "name its authority: ca_file in registries.toml"
    )
    return UserError(
        f"the server cannot be trusted: {why}",
        place=place_of(request.url),
        remedy=f"{remedy}, or write insecure = true where plain HTTP is meant",
    )


def _tls_failure(failure: BaseException | None) -> ssl.SSLError | None:
    while failure:
        if isinstance(failure, ssl.SSLError):
            # an end in the middle of TLS is a cut like any other
            return None if isinstance(failure, ssl.SSLEOFError | ssl.SSLZeroReturnError) else failure
        failure = failure.__cause__ or failure.__context__
    return None


def _why(failure: Exception) -> str:
    kind = type(failure).__name__
    return f"{kind}: {failure}" if str(failure) else kind
