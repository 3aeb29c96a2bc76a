"""List what speaks of a manifest, and keep that list where the registry does not.

Since version 1.1 of its specification a registry lists referrers by itself. For older ones the
specification has clients keep an index under the tag `sha256-<hex>`, which is read, extended and written.
Nothing there holds a second writer off, so whoever has written waits a moment and looks again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import attrs
from modelyard.api import Descriptor, NotFound, StoreDamaged, Unavailable

from modelyard_registry.distribution import documents
from modelyard_registry.distribution.listing import MOST_PAGE_BYTES, next_page
from modelyard_registry.distribution.refusals import place_of
from modelyard_registry.distribution.scopes import reading
from modelyard_registry.distribution.session import Answer, Call, Session
from modelyard_registry.manifests import (
    INDEX_TYPE,
    Referral,
    decode_descriptor,
    encode_descriptor,
    index_entries,
    read_referral,
)

MOST_REFERRERS = 10_000
MOST_PAGES = 100
SETTLING_SECONDS = 0.25
"""Longer than another writer takes from its reading to its writing, on a line of usual speed."""
_WRITES = 20

Entries = tuple[Mapping[str, Any], ...]
"""An index's entries as they are written: what other tools put there is kept whole."""


@attrs.frozen
class _Index:
    """The index that clients keep; `digest` is empty when there is none."""

    digest: str = ""
    entries: Entries = ()


async def list_referrers(
    session: Session, repository: str, digest: str, artifact_type: str = ""
) -> tuple[Descriptor, ...]:
    """Give what speaks of `digest`, by digest; `artifact_type` picks one kind unless it is empty."""
    entries = await _ask(session, repository, digest, artifact_type)
    if entries is None:
        entries = (await _read_index(session, repository, digest)).entries
    found = {one.digest: one for one in map(decode_descriptor, entries)}
    # a registry may ignore the filter, and then says so; whoever looks again needs no header
    return tuple(found[key] for key in sorted(found) if artifact_type in ("", found[key].artifact_type))


async def enlist(session: Session, repository: str, referral: Referral) -> None:
    """Add a manifest to the index of a registry that keeps no list of its own."""
    new = encode_descriptor(referral.manifest)

    def extended(known: Entries) -> Entries:
        return known if any(one["digest"] == new["digest"] for one in known) else (*known, new)

    await _rewrite(session, repository, referral.subject, extended)


async def remove(session: Session, repository: str, digest: str) -> None:
    """Remove a manifest with its tags and with all that speaks of it, or of that, and so on.

    It goes last: a removal that was cut short finds the rest when it is done again.
    """
    referral = await _read_referral(session, repository, digest)
    for one in reversed(await _reach(session, repository, digest)):
        if index := (await _read_index(session, repository, one)).digest:
            await documents.remove(session, repository, index)
        with suppress(NotFound):
            await documents.remove(session, repository, one)
    if referral:
        await _strike(session, repository, referral)


def index_tag(digest: str) -> str:
    """Give the tag under which clients keep the index of a manifest's referrers."""
    return digest.replace(":", "-", 1)


async def _reach(session: Session, repository: str, digest: str) -> list[str]:
    reached = [digest]
    for one in reached:
        found = await list_referrers(session, repository, one)
        reached += [new.digest for new in found if new.digest not in reached]
        if len(reached) > MOST_REFERRERS:
            raise _damaged(session, _index_call(repository, digest), f"it names over {MOST_REFERRERS}")
    return reached


async def _read_referral(session: Session, repository: str, digest: str) -> Referral | None:
    try:
        stored = await documents.fetch(session, repository, digest)
        return read_referral(stored.content, stored.descriptor.media_type)
    except (StoreDamaged, ValueError, RecursionError):
        return None  # what cannot be read is removed all the same


async def _strike(session: Session, repository: str, referral: Referral) -> None:
    gone = referral.manifest.digest
    await _rewrite(
        session,
        repository,
        referral.subject,
        lambda known: tuple(one for one in known if one["digest"] != gone),
    )


async def _ask(session: Session, repository: str, digest: str, artifact_type: str) -> Entries | None:
    """Ask the registry itself; None = it keeps no list."""
    query = f"?artifactType={quote(artifact_type, safe='')}" if artifact_type else ""
    path, found = f"{repository}/referrers/{digest}{query}", list[Mapping[str, Any]]()
    for _ in range(MOST_PAGES):
        call = Call("GET", path, reading(repository), {"Accept": INDEX_TYPE})
        try:
            answer = await session.take(call, ok=(200,), most_bytes=MOST_PAGE_BYTES)
        except NotFound:
            if found:
                raise
            return None
        found += _entries(session, call, answer.content)
        following = _following(session, call, answer)
        if following is None:
            return tuple(found)
        if len(found) > MOST_REFERRERS:
            break
        path = following
    raise _damaged(session, call, "it has no end")


def _following(session: Session, call: Call, answer: Answer) -> str | None:
    try:
        return next_page(session.url(call), answer.header("link"))
    except ValueError as failure:
        raise _damaged(session, call, str(failure)) from failure


async def _read_index(session: Session, repository: str, digest: str) -> _Index:
    call = _index_call(repository, digest)
    try:
        found = await documents.fetch(session, repository, index_tag(digest))
    except NotFound:
        return _Index()
    return _Index(found.descriptor.digest, _entries(session, call, found.content))


async def _rewrite(
    session: Session, repository: str, digest: str, change: Callable[[Entries], Entries]
) -> None:
    patience = session.limits.patience
    async with session.turn(f"{repository}@{digest}"):
        for _ in range(_WRITES):
            known = await _read_index(session, repository, digest)
            wanted = change(known.entries)
            if wanted == known.entries:
                return
            await _write_index(session, repository, digest, wanted, known.digest)
            await patience.sleep(SETTLING_SECONDS * (1 + patience.chance()))
    raise Unavailable(
        "others write the list of an image's referrers all the time",
        place=session.url(_index_call(repository, digest)),
        remedy="try again later",
    )


async def _write_index(
    session: Session, repository: str, digest: str, entries: Entries, replaced: str
) -> None:
    if not entries:
        # by its digest: an index that somebody has written meanwhile stays
        with suppress(NotFound):
            await documents.remove(session, repository, replaced)
        return
    try:
        await _put_index(session, repository, digest, entries)
    except NotFound:
        # some registries take no index of what they do not have: it was removed behind the list's back
        present = [one for one in entries if await documents.is_there(session, repository, one["digest"])]
        await _put_index(session, repository, digest, tuple(present))


async def _put_index(session: Session, repository: str, digest: str, entries: Entries) -> None:
    document = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}
    content = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    await documents.put(session, repository, index_tag(digest), content, INDEX_TYPE)


def _index_call(repository: str, digest: str) -> Call:
    return Call("GET", f"{repository}/manifests/{index_tag(digest)}", reading(repository))


def _entries(session: Session, call: Call, content: bytes) -> Entries:
    try:
        return index_entries(content)
    except (ValueError, RecursionError) as failure:
        raise _damaged(session, call, str(failure)) from failure


def _damaged(session: Session, call: Call, why: str) -> StoreDamaged:
    return StoreDamaged(
        f"the registry's list of referrers cannot be read: {why}",
        place=place_of(session.url(call)),
        remedy="look whether a registry is at this address",
    )
