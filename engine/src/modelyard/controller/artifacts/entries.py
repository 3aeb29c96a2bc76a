"""Which images a registry has, and whose revisions use them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

import attrs

from modelyard.api import ImageKind, ImageUnbuildable, NotFound, Registry
from modelyard.images import (
    BASE_IMAGES,
    ENGINES,
    ENVIRONMENT_IMAGES,
    SERVICES,
    Repository,
    Seen,
    below_of,
    key_of,
    read_image,
)
from modelyard.store import RevisionRecord

log = logging.getLogger(__name__)
_AT_ONCE = 8


@attrs.frozen
class Entry:
    """One tag of a registry and the image that it names."""

    kind: ImageKind
    repository: Repository
    tag: str
    seen: Seen

    @property
    def stands_on(self) -> frozenset[str]:
        """The keys of the bases below it that the engine made."""
        return below_of(self.seen.base)


async def entries_of(registry: Registry, services: Iterable[str]) -> list[Entry]:
    """Read every image of a registry that the engine knows repositories of. What is damaged is logged and left out."""
    turn = asyncio.Semaphore(_AT_ONCE)
    repositories = [(ImageKind.ENVIRONMENT, ENVIRONMENT_IMAGES), (ImageKind.BASE, BASE_IMAGES)]
    repositories += [(ImageKind.SERVICE, f"{SERVICES}/{name}") for name in sorted(set(services))]

    async def one(kind: ImageKind, repository: Repository, tag: str) -> Entry | None:
        async with turn:
            try:
                return Entry(kind, repository, tag, await read_image(repository, tag))
            except (NotFound, ImageUnbuildable) as failure:
                log.warning("%s:%s is passed over: %s", repository.name, tag, failure)
                return None

    found = [
        (kind, Repository(registry, name), tag)
        for kind, name in repositories
        for tag in await tags_of(registry, name)
    ]
    read = await asyncio.gather(*(one(*each) for each in found))
    return [entry for entry in read if entry is not None]


async def tags_of(registry: Registry, repository: str) -> tuple[str, ...]:
    """List a repository's tags; none where there is no such repository."""
    try:
        return await registry.list_tags(repository)
    except NotFound:
        return ()


async def engines_on(registry: Registry) -> Mapping[str, tuple[str, ...]]:
    """Say, by the key of an environment, which of the engine's own images in a registry stand on its image."""
    found: dict[str, tuple[str, ...]] = {}
    for tag in await tags_of(registry, ENGINES):
        try:
            key = key_of((await read_image(Repository(registry, ENGINES), tag)).base)
        except (NotFound, ImageUnbuildable) as failure:
            log.warning("%s:%s is passed over: %s", ENGINES, tag, failure)
            continue
        found[key] = (*found.get(key, ()), f"{ENGINES}:{tag}")
    return found


def users_of(
    entry: Entry,
    history: Sequence[RevisionRecord],
    engines: Mapping[str, tuple[str, ...]],
    above: Iterable[Entry] = (),
) -> tuple[str, ...]:
    """Name the revisions and the engine's own images that refer to an image.

    `above` has the environments' images, which stand on bases.
    """
    if entry.kind is ImageKind.BASE:
        on_it = [one for one in above if entry.tag in one.stands_on]
        return tuple(dict.fromkeys(user for one in on_it for user in users_of(one, history, engines)))
    own = engines.get(entry.tag, ()) if entry.kind is ImageKind.ENVIRONMENT else ()
    return (*(f"{one.service}:{one.number}" for one in history if _refers(one, entry)), *own)


def _refers(revision: RevisionRecord, entry: Entry) -> bool:
    digest = entry.seen.manifest.digest
    if entry.kind is ImageKind.ENVIRONMENT:
        # a revision whose image a plugin named has the image's digest in place of a key
        return revision.environment_key in (entry.tag, digest.removeprefix("sha256:"))
    if entry.repository.name != f"{SERVICES}/{revision.service}":
        return False
    return str(revision.number) == entry.tag or (
        revision.image is not None and revision.image.digest == digest
    )
