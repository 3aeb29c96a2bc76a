"""Remember what a registry had a moment ago, so that one push does not ask the same again and again.

What a manifest names is there as long as the manifest is: that is what registries collect by. So whoever wants
several blobs of an image that was pushed before asks for its manifest, once.
No I/O. A registry that lost something all the same refuses the manifest, and all of this is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeVar

import attrs
from modelyard.api import Descriptor

FRESH_SECONDS = 30.0
"""Shorter than anybody collects what is no longer named."""
MOST_BLOBS = 4096
MOST_MANIFESTS = 256

T = TypeVar("T")
Thing = tuple[str, str]
"""A repository and a digest."""


@attrs.frozen
class _Named:
    manifest: str
    size: int


class Presence:
    """What one client saw of one registry; the oldest is forgotten first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._blobs: OrderedDict[Thing, tuple[int, float]] = OrderedDict()
        self._lacking: OrderedDict[Thing, float] = OrderedDict()
        self._manifests: OrderedDict[Thing, tuple[Descriptor, ...]] = OrderedDict()
        self._names: dict[Thing, _Named] = {}

    def size(self, repository: str, digest: str) -> int | None:
        """Give the size of a blob that was there a moment ago; None = ask."""
        size, seen_at = self._blobs.get((repository, digest), (0, float("-inf")))
        return size if self._clock() - seen_at < FRESH_SECONDS else None

    def lacks(self, repository: str, digest: str) -> bool:
        """Say whether a blob was not there a moment ago."""
        return self._clock() - self._lacking.get((repository, digest), float("-inf")) < FRESH_SECONDS

    def witness(self, repository: str, digest: str) -> str | None:
        """Give the digest of a manifest that names a blob; None = none is known."""
        named = self._names.get((repository, digest))
        return named.manifest if named else None

    def saw(self, repository: str, digest: str, size: int) -> None:
        """Note that a blob is there now."""
        self._lacking.pop((repository, digest), None)
        _put(self._blobs, (repository, digest), (size, self._clock()), MOST_BLOBS)

    def missed(self, repository: str, digest: str) -> None:
        """Note that a blob is not there now."""
        _put(self._lacking, (repository, digest), self._clock(), MOST_BLOBS)

    def stored(self, repository: str, manifest: str, blobs: Iterable[Descriptor]) -> None:
        """Note what a manifest names that was stored and read back."""
        named = tuple(blobs)
        for old, gone in _put(self._manifests, (repository, manifest), named, MOST_MANIFESTS):
            self._forget_names(old, gone)
        for blob in named:
            self._names[repository, blob.digest] = _Named(manifest, blob.size)

    def stands(self, repository: str, manifest: str) -> None:
        """Note that a manifest is there now, and with it what it names."""
        for blob in self._manifests.get((repository, manifest), ()):
            self.saw(repository, blob.digest, blob.size)

    def fell(self, repository: str, manifest: str) -> None:
        """Note that a manifest is gone."""
        self._forget_names((repository, manifest), self._manifests.pop((repository, manifest), ()))

    def forget(self, repository: str) -> None:
        """Believe nothing of a repository any more."""
        for known in (self._blobs, self._lacking, self._manifests, self._names):
            for thing in [one for one in known if one[0] == repository]:
                del known[thing]

    def _forget_names(self, manifest: Thing, blobs: Iterable[Descriptor]) -> None:
        repository, digest = manifest
        for blob in blobs:
            named = self._names.get((repository, blob.digest))
            if named is not None and named.manifest == digest:
                del self._names[repository, blob.digest]


def _put(known: OrderedDict[Thing, T], thing: Thing, value: T, most: int) -> list[tuple[Thing, T]]:
    """Remember a value as the newest; gives what is forgotten for it."""
    replaced = [(thing, known.pop(thing))] if thing in known else []
    known[thing] = value
    return replaced if len(known) <= most else [*replaced, known.popitem(last=False)]
