"""Images of a daemon: find, load, forget."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from collections.abc import AsyncGenerator, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import attrs

from modelyard.api import ModelyardError, Unavailable
from modelyard.containers import failures
from modelyard.containers.connecting import ASK_SECONDS, CHANGE_SECONDS, LOAD_SECONDS, Daemon
from modelyard.containers.values import Absent

if TYPE_CHECKING:
    from docker import APIClient

_MOST_IMAGES = 200
"""Whose layers are looked at; the newest come first."""


@attrs.frozen
class Image:
    """An image the daemon has: its id, and its layers by what they hold, lowest first."""

    id: str
    chain: tuple[str, ...]


async def find_image(daemon: Daemon, reference: str) -> Image | None:
    """Find an image by tag or id; None = the daemon has none."""
    with contextlib.suppress(Absent):
        return _image(await daemon.call("look into an image", lambda client: client.inspect_image(reference)))
    return None


async def known_chains(daemon: Daemon) -> list[tuple[str, ...]]:
    """List the layers of every image that the daemon has."""

    def work(client: APIClient) -> list[tuple[str, ...]]:
        found = client.images()[:_MOST_IMAGES]
        return [_image(client.inspect_image(one["Id"])).chain for one in found]

    return await daemon.call("list its images", work, seconds=4 * ASK_SECONDS)


async def load(daemon: Daemon, archive: AsyncGenerator[bytes]) -> None:
    """Send an archive; the daemon shows the image when it has it whole.

    Cancelled, or when the archive fails, the connection is cut and the daemon throws away what it got.
    Raises what the archive raises, and errors of the tree.
    """
    feed = _Feed(archive)
    try:
        await daemon.call("load an image", lambda client: _load(daemon, client, feed), seconds=LOAD_SECONDS)
    except ModelyardError as error:
        if feed.error is not None and error is not feed.error:
            raise feed.error from error
        raise
    finally:
        await feed.close()


async def remove_tag(daemon: Daemon, tag: str) -> bool:
    """Forget an image by its tag; layers that others stand on stay. False = a container needs it.

    Absent is fine.
    """

    def work(client: APIClient) -> bool:
        from docker.errors import APIError

        try:
            client.remove_image(tag)
        except APIError as error:
            if error.response is None or error.response.status_code != HTTPStatus.CONFLICT:
                raise
            return False
        return True

    with contextlib.suppress(Absent):
        return await daemon.call("remove an image", work, seconds=CHANGE_SECONDS)
    return True


def _image(answer: dict[str, Any]) -> Image:
    layers = (answer.get("RootFS") or {}).get("Layers") or ()
    return Image(str(answer["Id"]), tuple(str(one) for one in layers))


def _load(daemon: Daemon, client: APIClient, feed: Iterator[bytes]) -> None:
    for line in client.load_image(feed, quiet=False):
        if words := str(line.get("error") or line.get("message") or ""):
            # what comes in the stream has no status: the headers were sent before
            raise failures.refused(daemon.address, HTTPStatus.INTERNAL_SERVER_ERROR, words, root=daemon.root)


class _Feed:
    """Hands an asynchronous stream to a thread that reads it; remembers what it raised."""

    def __init__(self, chunks: AsyncGenerator[bytes]) -> None:
        self._chunks = chunks
        self._loop = asyncio.get_running_loop()
        self._one_at_a_time = asyncio.Lock()
        self._closed = False
        self._pending: concurrent.futures.Future[bytes | None] | None = None
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._pending = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
        try:
            chunk = self._pending.result()
        except concurrent.futures.CancelledError as error:
            raise Unavailable("the image was not wanted any more") from error
        if chunk is None:
            raise StopIteration
        return chunk

    async def close(self) -> None:
        """Let nothing more be read; whoever waits for more is told so."""
        self._closed = True
        if self._pending is not None:
            self._pending.cancel()
        async with self._one_at_a_time:
            await self._chunks.aclose()

    async def _next(self) -> bytes | None:
        async with self._one_at_a_time:
            if self._closed:
                raise asyncio.CancelledError
            try:
                return await anext(self._chunks, None)
            except Exception as error:
                self.error = error
                raise
