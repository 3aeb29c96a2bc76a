"""Bring a blob to a registry: nothing when it is there, one body when it is small, pieces when it is large.

What is smaller still is sent without asking, unless it was there a moment ago or an image names it that was.

After a cut the registry is asked how far it got, and the rest is sent from there. A piece of a file is read
while it is sent: memory stays flat whatever a layer weighs.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from contextlib import aclosing, suppress
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import attrs
from modelyard.api import ModelyardError, Unavailable

from modelyard_registry.distribution.downloads import blob_size
from modelyard_registry.distribution.messages import (
    PIECE_BYTES,
    Body,
    Cut,
    Reply,
    of_bytes,
    of_file,
    whole_number,
)
from modelyard_registry.distribution.refusals import place_of
from modelyard_registry.distribution.retrying import is_passing, told_seconds
from modelyard_registry.distribution.scopes import writing
from modelyard_registry.distribution.session import Call, Session
from modelyard_registry.errors import unreadable_source
from modelyard_registry.manifests import digest_of

Progress = Callable[[int, int], None]
"""Hears bytes sent so far, and of how many; the first number falls back when a piece is sent again."""

ABANDON_SECONDS = 5.0
MOST_UNASKED_BYTES = 64 * 1024
"""To send so little takes no longer than to ask."""
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_LOST = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


@attrs.frozen
class Source:
    """A blob to send, measured."""

    content: Path | bytes
    digest: str
    size: int

    def body(self, start: int, end: int, told: Callable[[int], None]) -> Body:
        """Give a part of it to send."""
        if isinstance(self.content, bytes):
            return of_bytes(self.content[start:end])
        return of_file(self.content, start, end, told)


class UploadLost(Exception):
    """The registry forgot the upload, or failed in a way that leaves only a new beginning."""

    def __init__(self, failure: ModelyardError) -> None:
        super().__init__(str(failure))
        self.failure = failure


async def measure(source: Path | bytes) -> Source:
    """Hash a source, in a thread where it is a file; a file of one piece is read but once."""
    if isinstance(source, bytes):
        return Source(source, digest_of(source), len(source))
    try:
        return await asyncio.to_thread(_measure, source)
    except OSError as failure:
        raise unreadable_source(source) from failure


async def upload(session: Session, repository: str, source: Source, progress: Progress) -> None:
    """Make the blob present; a few uploads run at once, the others wait for their turn."""
    async with session.uploads:
        attempt = 0
        goes_unasked = _goes_unasked(session, repository, source)
        while goes_unasked or await blob_size(session, repository, source.digest) is None:
            goes_unasked = False
            one = Upload(session, repository, source, progress)
            try:
                await one.run()
                break
            except UploadLost as lost:
                if not await session.limits.patience.rest(attempt):
                    raise lost.failure from lost
                attempt += 1
            except ModelyardError:
                await one.abandon()
                raise
        session.presence.saw(repository, source.digest, source.size)
        progress(source.size, source.size)


def _goes_unasked(session: Session, repository: str, source: Source) -> bool:
    """Say whether asking is idle: it was not there a moment ago, or it is small and nothing speaks for it."""
    presence, digest = session.presence, source.digest
    if presence.lacks(repository, digest):
        return True
    is_unheard_of = presence.size(repository, digest) is None and presence.witness(repository, digest) is None
    return is_unheard_of and source.size <= MOST_UNASKED_BYTES


async def mount(session: Session, repository: str, digest: str, source: str) -> bool:
    """Ask for a blob of another repository; False = the registry would rather have it sent."""
    path = f"{repository}/blobs/uploads/?mount={quote(digest)}&from={quote(source)}"
    call = Call("POST", path, writing(repository, mounting=source), body=of_bytes(b""))
    async with aclosing(await session.open(call)) as reply:
        if reply.status == HTTPStatus.CREATED:
            return True
        if reply.status != HTTPStatus.ACCEPTED:
            raise session.refusal(call, reply)
        begun = session.next_url(call, reply)
    await _abandon(session, begun, call.scopes)
    return False


async def _abandon(session: Session, location: str, scopes: frozenset[str]) -> None:
    """Give the room of an upload back; tried once, since a registry clears old ones away by itself."""
    if location:
        call = Call("DELETE", location, scopes, is_repeatable=False)
        with suppress(Cut, ModelyardError, TimeoutError):
            async with asyncio.timeout(ABANDON_SECONDS):
                await (await session.attempt(call)).aclose()


@attrs.define
class Upload:
    """One try, from the beginning of an upload to its digest."""

    session: Session
    repository: str
    source: Source
    progress: Progress
    location: str = ""
    at: int = 0
    stalls: int = 0
    """Failures since the last progress."""
    least_bytes: int = 0
    """What the registry wants a piece to have at least."""

    async def run(self) -> None:
        """Send all of it."""
        await self.start()
        if self.source.size <= self.piece_bytes:
            await self._send_whole()
        else:
            await self.send_rest()

    async def send_rest(self) -> None:
        """Send what the registry has not got, and close the upload."""
        is_closed = False
        while not is_closed:
            while self.at < self.source.size:
                await self.send_piece(min(self.at + self.piece_bytes, self.source.size))
            is_closed = await self._finish()

    async def abandon(self) -> None:
        """Give the room of what was sent back."""
        await _abandon(self.session, self.location, self._scopes)

    async def start(self) -> None:
        """Begin, and learn how large a piece may be."""
        call = Call("POST", f"{self.repository}/blobs/uploads/", self._scopes, body=of_bytes(b""))
        async with aclosing(await self.session.open(call)) as reply:
            if reply.status != HTTPStatus.ACCEPTED:
                raise self.session.refusal(call, reply)
            self.location = self.session.next_url(call, reply)
            self.least_bytes = whole_number(reply.header("oci-chunk-min-length")) or 0

    @property
    def piece_bytes(self) -> int:
        """Give the size of a piece, but for the last."""
        return max(self.session.limits.chunk_bytes, self.least_bytes)

    async def _send_whole(self) -> None:
        body = self.source.body(0, self.source.size, self._told)
        call = self._call("PUT", self._named(), {"Content-Type": "application/octet-stream"}, body)
        await self._close(call)

    async def send_piece(self, end: int) -> None:
        """Send what comes next, up to `end`; what was cut off is to be sent again."""
        headers = {"Content-Type": "application/octet-stream", "Content-Range": f"{self.at}-{end - 1}"}
        call = self._call("PATCH", self.location, headers, self.source.body(self.at, end, self._told))
        try:
            async with aclosing(await self.session.attempt(call)) as reply:
                if reply.status == HTTPStatus.ACCEPTED:
                    self._go_on(call, reply, end)
                    return
                await self._stall(call, reply)
        except Cut as cut:
            await self._stall(call, cut)
        await self._ask_how_far()

    async def _finish(self) -> bool:
        """Say that every byte was sent; False = the registry lacks some, or should be told again."""
        try:
            await self._close(self._call("PUT", self._named(), {}, of_bytes(b"")))
        except UploadLost:
            if not await self.session.limits.patience.rest(self.stalls):
                raise
            await self._ask_how_far()
            return False
        return True

    async def _close(self, call: Call) -> None:
        try:
            async with aclosing(await self.session.attempt(call)) as reply:
                if reply.status == HTTPStatus.CREATED:
                    return
                failure = self.session.refusal(call, reply)
                if not is_passing(reply) and reply.status not in _LOST:
                    raise failure
        except Cut as cut:
            failure = self.session.unreachable(call, cut)
        # the upload may have been closed and only the answer lost: the next try looks first
        raise UploadLost(failure)

    async def _stall(self, call: Call, why: Reply | Cut) -> None:
        """Wait before the rest is sent; raises when that is no use."""
        patience, told = self.session.limits.patience, None
        if isinstance(why, Cut):
            failure: ModelyardError = self.session.unreachable(call, why)
        else:
            failure = self.session.refusal(call, why)
            told = told_seconds(why.header("retry-after"), patience.wall_clock())
            is_misplaced = why.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            if why.status in _LOST or (is_misplaced and self.stalls):
                raise UploadLost(failure)
            if not is_misplaced and not is_passing(why):
                raise failure
        if not await patience.rest(self.stalls, told):
            raise failure
        self.stalls += 1

    async def _ask_how_far(self) -> None:
        call = Call("GET", self.location, self._scopes)
        async with aclosing(await self.session.open(call)) as reply:
            if reply.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.ACCEPTED):
                raise UploadLost(self.session.refusal(call, reply))
            self._go_on(call, reply, None)

    def _go_on(self, call: Call, reply: Reply, sent: int | None) -> None:
        """Take over the registry's word on where the next piece goes, and from which byte on."""
        self.location = self.session.next_url(call, reply) if reply.header("location") else self.location
        found = _RANGE.fullmatch(reply.header("range"))
        reached = int(found[1]) + 1 if found else sent
        if reached is None or reached > self.source.size:
            raise UploadLost(self._forgetful("does not say how much of the upload it has"))
        # "0-0" is what registries say of nothing as well as of one byte
        reached = 0 if reached == 1 else reached
        self.stalls = 0 if reached > self.at else self.stalls + 1
        if self.stalls > self.session.limits.patience.attempts:
            raise UploadLost(self._forgetful("keeps nothing of what it is sent"))
        self.at = reached
        self.progress(self.at, self.source.size)

    def _forgetful(self, why: str) -> Unavailable:
        return Unavailable(
            f"the registry {why}",
            place=place_of(self.location),
            remedy="look at its log, and at the proxies before it",
        )

    def _told(self, at: int) -> None:
        self.progress(at, self.source.size)

    def _named(self) -> str:
        joint = "&" if "?" in self.location else "?"
        return f"{self.location}{joint}digest={quote(self.source.digest)}"

    def _call(self, method: str, url: str, headers: dict[str, str], body: Body) -> Call:
        return Call(method, url, self._scopes, headers, body, is_repeatable=False)

    @property
    def _scopes(self) -> frozenset[str]:
        return writing(self.repository)


def _measure(path: Path) -> Source:
    with path.open("rb") as file:
        content = file.read(PIECE_BYTES)
        if len(content) < PIECE_BYTES:
            return Source(content, digest_of(content), len(content))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Source(path, f"sha256:{digest}", file.tell())
