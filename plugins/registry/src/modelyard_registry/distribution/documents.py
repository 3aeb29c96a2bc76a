"""Read, write and remove manifests and indexes: small documents whose digest is checked both ways."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from http import HTTPStatus

import attrs
from modelyard.api import Artifact, Descriptor, NotFound

from modelyard_registry.distribution.downloads import damaged
from modelyard_registry.distribution.messages import of_bytes, whole_number
from modelyard_registry.distribution.scopes import deleting, reading, writing
from modelyard_registry.distribution.session import Answer, Call, Session
from modelyard_registry.manifests import MANIFEST_TYPE, digest_of, encode
from modelyard_registry.names import check_digest, is_digest
from modelyard_registry.platforms import INDEX_TYPES, MANIFEST_TYPES

MOST_BYTES = 4 * 1024 * 1024
"""What the specification asks every registry to take, and what none sends honestly."""
TOMBSTONE_TYPE = "application/vnd.modelyard.tombstone"
_ACCEPTED = {"Accept": ", ".join(sorted(MANIFEST_TYPES | INDEX_TYPES))}
_REMOVED = (HTTPStatus.ACCEPTED, HTTPStatus.OK, HTTPStatus.NO_CONTENT)
_NO_SUCH_WAY = (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)


@attrs.frozen
class Document:
    """A manifest or index as the registry keeps it."""

    descriptor: Descriptor
    content: bytes


@attrs.frozen
class Stored:
    """What was written. `subject`: the registry itself lists it among that manifest's referrers; else empty."""

    descriptor: Descriptor
    subject: str


async def describe(session: Session, repository: str, reference: str) -> Descriptor:
    """Say what a tag or digest names, without reading it where the registry tells its digest."""
    call = Call("HEAD", f"{repository}/manifests/{reference}", reading(repository), _ACCEPTED)
    async with aclosing(await session.open(call)) as reply:
        if reply.status == HTTPStatus.NOT_FOUND:
            raise absent(session, call)
        if reply.status != HTTPStatus.OK:
            raise session.refusal(call, reply)
        digest, size = reply.header("docker-content-digest"), whole_number(reply.header("content-length"))
        media_type = _media_type(reply.header("content-type"))
    if not digest or size is None:
        return (await fetch(session, repository, reference)).descriptor
    _compare(session, call, digest, reference)
    return Descriptor(media_type, digest, size)


async def fetch(session: Session, repository: str, reference: str) -> Document:
    """Read what a tag or digest names."""
    call = Call("GET", f"{repository}/manifests/{reference}", reading(repository), _ACCEPTED)
    try:
        answer = await session.take(call, ok=(HTTPStatus.OK,), most_bytes=MOST_BYTES)
    except NotFound as failure:
        raise absent(session, call) from failure
    digest = digest_of(answer.content)
    for told in (reference if is_digest(reference) else digest, answer.header("docker-content-digest")):
        if told and told != digest:
            raise damaged(session, call, f"its bytes do not match {told}")
    return Document(
        Descriptor(_media_type(answer.header("content-type")), digest, len(answer.content)), answer.content
    )


async def store(
    session: Session, repository: str, content: bytes, media_type: str, tag: str = ""
) -> tuple[Stored, str]:
    """Write a document under its digest and read it back; gives also what the tag names by then."""
    digest = digest_of(content)
    answer = await put(session, repository, digest, content, media_type)
    # not while it is written: a registry may fail to read what it writes at that moment
    looking = asyncio.create_task(named_by(session, repository, tag))
    try:
        stored = await fetch(session, repository, digest)
        named = await looking
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    descriptor = attrs.evolve(stored.descriptor, media_type=media_type)
    return Stored(descriptor, answer.header("oci-subject")), named


async def named_by(session: Session, repository: str, tag: str) -> str:
    """Give the digest of what a tag names; empty = it names nothing, as no tag does."""
    try:
        return (await describe(session, repository, tag)).digest if tag else ""
    except NotFound:
        return ""


async def remove(session: Session, repository: str, reference: str) -> None:
    """Remove a manifest with its tags, or one tag alone."""
    await describe(session, repository, reference)
    call = Call("DELETE", f"{repository}/manifests/{reference}", deleting(repository))
    async with aclosing(await session.open(call)) as reply:
        if reply.status in _REMOVED:
            return
        if is_digest(reference) or reply.status not in _NO_SUCH_WAY:
            raise session.refusal(call, reply)
    await _bury(session, repository, reference)


def absent(session: Session, call: Call) -> NotFound:
    """Say that the registry has no such manifest."""
    return NotFound(
        "the registry has no such manifest",
        place=session.url(call),
        remedy="deploy or push it first, or mend the reference",
    )


async def _bury(session: Session, repository: str, tag: str) -> None:
    """Remove a tag where registries remove manifests alone: point it at an empty one, which is removed."""
    buried = encode(Artifact(TOMBSTONE_TYPE, (), {"dev.modelyard.tag": tag}))
    digest = digest_of(buried)
    # once without the tag: where nothing can be removed the tag stays as it is
    for reference in (digest, tag):
        await put(session, repository, reference, buried, MANIFEST_TYPE)
        call = Call("DELETE", f"{repository}/manifests/{digest}", deleting(repository))
        await session.take(call, ok=_REMOVED)


async def is_there(session: Session, repository: str, reference: str) -> bool:
    """Say whether the registry has a manifest."""
    try:
        await describe(session, repository, reference)
    except NotFound:
        return False
    return True


async def put(session: Session, repository: str, reference: str, content: bytes, media_type: str) -> Answer:
    """Write a document under a tag or its digest."""
    path, headers = f"{repository}/manifests/{reference}", {"Content-Type": media_type}
    call = Call("PUT", path, writing(repository), headers, of_bytes(content))
    answer = await session.take(call, ok=(HTTPStatus.CREATED, HTTPStatus.OK))
    if told := answer.header("docker-content-digest"):
        _compare(session, call, told, digest_of(content))
    return answer


def _compare(session: Session, call: Call, told: str, reference: str) -> None:
    if is_digest(reference) and told != reference:
        raise damaged(session, call, "the registry names another digest")
    check_digest(told)


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip() or MANIFEST_TYPE
