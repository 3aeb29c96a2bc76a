"""Read blobs: streamed, every byte hashed, and taken up again where a connection was cut."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus

from modelyard.api import NotFound, StoreDamaged

from modelyard_registry.distribution.messages import Cut, Reply, whole_number
from modelyard_registry.distribution.scopes import reading
from modelyard_registry.distribution.session import Call, Session
from modelyard_registry.manifests import MANIFEST_TYPE

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-.*")


async def blob_size(session: Session, repository: str, digest: str) -> int | None:
    """Say how many bytes a blob has; None = it is not there, -1 = the registry does not say.

    What was there a moment ago is not asked for, and of an image that was pushed before its manifest is.
    """
    presence = session.presence
    if (manifest := presence.witness(repository, digest)) is not None:
        async with session.turn(f"{repository}@{manifest}"):  # one of many asks
            if presence.size(repository, digest) is None:
                await _ask_for_manifest(session, repository, manifest)
    known = presence.size(repository, digest)
    return await _ask_for_blob(session, repository, digest) if known is None else known


async def _ask_for_manifest(session: Session, repository: str, manifest: str) -> None:
    call = Call("HEAD", f"{repository}/manifests/{manifest}", reading(repository), {"Accept": MANIFEST_TYPE})
    async with aclosing(await session.open(call)) as reply:
        if reply.status == HTTPStatus.OK:
            session.presence.stands(repository, manifest)
        elif reply.status == HTTPStatus.NOT_FOUND:
            session.presence.fell(repository, manifest)
        else:
            raise session.refusal(call, reply)


async def _ask_for_blob(session: Session, repository: str, digest: str) -> int | None:
    call = Call("HEAD", f"{repository}/blobs/{digest}", reading(repository))
    async with aclosing(await session.open(call)) as reply:
        if reply.status == HTTPStatus.NOT_FOUND:
            session.presence.missed(repository, digest)
            return None
        if reply.status != HTTPStatus.OK:
            raise session.refusal(call, reply)
        length = whole_number(reply.header("content-length"))
    size = -1 if length is None else length
    session.presence.saw(repository, digest, size)
    return size


async def read(session: Session, repository: str, digest: str) -> AsyncGenerator[bytes, None]:
    """Stream a blob; raises at the end when the bytes were not the digest's."""
    hasher, at, stalls = hashlib.sha256(), 0, 0
    while True:
        call = _call(repository, digest, at)
        async with aclosing(await session.open(call)) as reply:
            skip = _start(session, call, reply, at)
            try:
                async for piece in reply.pieces():
                    fresh = piece[skip:]
                    skip = max(skip - len(piece), 0)
                    if fresh:
                        hasher.update(fresh)
                        at, stalls = at + len(fresh), 0
                        yield fresh
                break
            except Cut as cut:
                if not await session.limits.patience.rest(stalls):
                    raise session.unreachable(call, cut) from cut
                stalls += 1
    if f"sha256:{hasher.hexdigest()}" != digest:
        raise damaged(session, call, "its bytes do not match its digest")


def damaged(session: Session, call: Call, why: str) -> StoreDamaged:
    """Say that the registry's content is not what it was asked for."""
    return StoreDamaged(
        f"what the registry sent is damaged: {why}",
        place=session.url(call),
        remedy="delete it there and push it again, and look at the registry's storage",
    )


def _call(repository: str, digest: str, at: int) -> Call:
    headers = {"Range": f"bytes={at}-"} if at else {}
    return Call("GET", f"{repository}/blobs/{digest}", reading(repository), headers)


def _start(session: Session, call: Call, reply: Reply, at: int) -> int:
    """Say how many bytes of this reply are known already; raises when it is not the blob."""
    if reply.status == HTTPStatus.NOT_FOUND:
        raise NotFound(
            "the registry has no such blob",
            place=session.url(call),
            remedy="push it first, or mend the digest",
        )
    if reply.status == HTTPStatus.OK:
        return at
    found = _CONTENT_RANGE.fullmatch(reply.header("content-range"))
    if reply.status != HTTPStatus.PARTIAL_CONTENT or not found:
        raise session.refusal(call, reply)
    if int(found[1]) != at:
        raise damaged(session, call, f"asked from byte {at} on it starts at {found[1]}")
    return 0
