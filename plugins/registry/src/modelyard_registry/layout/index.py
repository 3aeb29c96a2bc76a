"""The index of a layout: which repository has which manifest under which tag.

Pure. One entry a tag, named `<repository>:<tag>` as skopeo looks it up, and one for a manifest that
no tag names, so that a digest somebody pinned stays readable after its tag moved on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import attrs
from modelyard.api import Descriptor

from modelyard_registry.manifests import INDEX_TYPE, decode_descriptor, encode_descriptor
from modelyard_registry.platforms import INDEX_TYPES

REF_NAME = "org.opencontainers.image.ref.name"
REPOSITORY = "dev.modelyard.repository"


@attrs.frozen
class Entry:
    """One manifest of one repository; `tag` is empty when only its digest names it."""

    repository: str
    tag: str
    manifest: Descriptor


@attrs.frozen
class Index:
    """All entries, and those that another tool wrote, which are kept as they are."""

    entries: tuple[Entry, ...] = ()
    foreign: tuple[Descriptor, ...] = ()

    def find(self, repository: str, reference: str) -> Descriptor | None:
        """Look up a tag or a digest of a repository."""
        for entry in self.entries:
            if entry.repository == repository and reference in (entry.tag, entry.manifest.digest):
                return entry.manifest
        return None

    def tags(self, repository: str) -> tuple[str, ...] | None:
        """Give a repository's tags, sorted; None = it has no manifest at all."""
        found = [entry.tag for entry in self.entries if entry.repository == repository]
        return tuple(sorted(filter(None, found))) if found else None

    def image_indexes(self, repository: str) -> tuple[Descriptor, ...]:
        """Give what stands for one image on several platforms in a repository."""
        named = (e.manifest for e in self.entries if e.repository == repository)
        return tuple(one for one in named if one.media_type in INDEX_TYPES)

    def candidates(self, repository: str) -> tuple[Descriptor, ...]:
        """Give what may speak of a repository's manifests: its own, and what other tools put here."""
        return (*(e.manifest for e in self.entries if e.repository == repository), *self.foreign)

    def with_manifest(self, repository: str, tag: str, manifest: Descriptor) -> Index:
        """Point a tag, or nothing but the digest, at a manifest."""
        moved = [e for e in self.entries if tag and (e.repository, e.tag) == (repository, tag)]
        rest = [e for e in self.entries if e not in moved]
        pinned = [Entry(repository, "", e.manifest) for e in moved]
        return attrs.evolve(self, entries=_needed([*rest, *pinned, Entry(repository, tag, manifest)]))

    def without(self, repository: str, reference: str) -> Index:
        """Drop a tag, or a manifest with all its tags."""
        kept = (
            entry
            for entry in self.entries
            if entry.repository != repository or reference not in (entry.tag, entry.manifest.digest)
        )
        return attrs.evolve(self, entries=tuple(kept))

    @property
    def roots(self) -> frozenset[str]:
        """Every manifest that something names."""
        return frozenset(one.digest for one in (*(e.manifest for e in self.entries), *self.foreign))


def encode(index: Index) -> bytes:
    """Write `index.json`."""
    manifests = [_encode(e.manifest, _naming(e)) for e in index.entries]
    manifests += [encode_descriptor(one) for one in index.foreign]
    document = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests}
    return json.dumps(document, sort_keys=True, indent=1).encode()


def decode(content: bytes) -> Index:
    """Read `index.json`; `ValueError` says what is wrong with it."""
    document = json.loads(content)
    if not isinstance(document, dict) or not isinstance(document.get("manifests"), list):
        raise ValueError("it has no list of manifests")  # noqa: TRY004  one kind of error for every damage
    found = [decode_descriptor(raw) for raw in document["manifests"]]
    entries = [(_entry(one), one) for one in found]
    return Index(
        entries=tuple(entry for entry, _ in entries if entry),
        foreign=tuple(one for entry, one in entries if not entry),
    )


def _needed(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Drop untagged entries whose manifest a tag of the same repository names, and repetitions."""
    unique = {(e.repository, e.tag, e.manifest.digest): e for e in entries}
    tagged = {(repository, digest) for repository, tag, digest in unique if tag}
    return tuple(
        entry
        for (repository, tag, digest), entry in unique.items()
        if tag or (repository, digest) not in tagged
    )


def _naming(entry: Entry) -> dict[str, str]:
    return {REF_NAME: f"{entry.repository}:{entry.tag}"} if entry.tag else {REPOSITORY: entry.repository}


def _entry(found: Descriptor) -> Entry | None:
    manifest = attrs.evolve(found, annotations={})
    if repository := found.annotations.get(REPOSITORY):
        return Entry(repository, "", manifest)
    repository, separator, tag = found.annotations.get(REF_NAME, "").rpartition(":")
    return Entry(repository, tag, manifest) if separator else None


def _encode(manifest: Descriptor, annotations: dict[str, str]) -> dict[str, object]:
    return encode_descriptor(attrs.evolve(manifest, annotations=annotations))
