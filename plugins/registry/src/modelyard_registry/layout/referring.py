"""Find the manifests of a layout that speak of another one. Synchronous file work; changes nothing.

The folder keeps no list of them: every manifest of the repository is read, and those that other tools
put here under no repository's name. One that is damaged speaks of nothing; whoever pulls it is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelyard.api import Descriptor, UserError

from modelyard_registry.layout.folder import Layout
from modelyard_registry.layout.index import Index
from modelyard_registry.manifests import Referral, decode_descriptor, digest_of, index_entries, read_referral
from modelyard_registry.names import check_digest
from modelyard_registry.platforms import INDEX_TYPES

MOST_BYTES = 4 * 1024 * 1024
"""What the specification asks every registry to take as a manifest."""


def list_referrers(layout: Layout, index: Index, repository: str, digest: str) -> tuple[Descriptor, ...]:
    """Give what speaks of `digest`, by digest."""
    found = [one.manifest for one in _referrals(layout, index, repository) if one.subject == digest]
    return tuple(sorted(found, key=lambda one: one.digest))


def with_referrers(layout: Layout, index: Index, repository: str, digest: str) -> frozenset[str]:
    """Give a manifest's digest and those of all that speaks of it, or of that, and so on."""
    speaking = [(one.subject, one.manifest.digest) for one in _referrals(layout, index, repository)]
    reached: frozenset[str] = frozenset()
    waiting = {digest}
    while waiting:
        reached |= waiting
        waiting = {by for of, by in speaking if of in waiting} - reached
    return reached


def _referrals(layout: Layout, index: Index, repository: str) -> Iterator[Referral]:
    waiting, seen = list(index.candidates(repository)), set[str]()
    while waiting:
        manifest = waiting.pop()
        if manifest.digest in seen:
            continue
        seen.add(manifest.digest)
        try:
            content = _read(layout, manifest.digest)
            found = read_referral(content, manifest.media_type)
            if manifest.media_type in INDEX_TYPES:
                waiting += map(decode_descriptor, index_entries(content))
        except (FileNotFoundError, ValueError, RecursionError, UserError):
            continue  # of an index, other tools copy the one platform that was asked for
        if found:
            yield found


def _read(layout: Layout, digest: str) -> bytes:
    check_digest(digest)  # an index of somebody else's names it, and it becomes a path
    with layout.blob(digest).open("rb") as file:
        content = file.read(MOST_BYTES)
    if digest_of(content) != digest:
        raise ValueError("its bytes do not match its digest")
    return content
