"""A registry in memory: the whole promise of `Registry` without a disk."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import attrs

from modelyard.api import Artifact, Descriptor, Maturity, NotFound, Platform

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CHUNK_BYTES = 64 * 1024


@attrs.define
class InMemoryRegistry:
    """Keeps blobs, manifests and tags per repository; safe within one event loop."""

    name: str = "memory"
    maturity: Maturity = Maturity.STABLE
    _blobs: dict[str, dict[str, bytes]] = attrs.field(factory=lambda: defaultdict(dict), repr=False)
    _manifests: dict[str, dict[str, Artifact]] = attrs.field(factory=lambda: defaultdict(dict), repr=False)
    _tags: dict[str, dict[str, str]] = attrs.field(factory=lambda: defaultdict(dict), repr=False)

    def address(self, repository: str) -> str:  # noqa: ARG002  nobody else reaches this memory
        """Give none."""
        return ""

    async def list_tags(self, repository: str) -> tuple[str, ...]:
        """Give every tag of a repository."""
        if not self._manifests[repository]:
            raise NotFound(f"no repository {repository!r}", place=self.name)
        return tuple(sorted(self._tags[repository]))

    async def resolve(self, repository: str, reference: str) -> Descriptor:
        """Turn a tag or digest into the manifest's descriptor."""
        digest = self._tags[repository].get(reference, reference)
        if digest not in self._manifests[repository]:
            raise NotFound(f"no manifest {reference!r} in {repository!r}", place=self.name)
        return _describe(self._manifests[repository][digest])

    async def resolve_platform(self, repository: str, reference: str, platform: Platform) -> Descriptor:  # noqa: ARG002
        """Turn a tag or digest into the manifest's descriptor; it keeps no indexes."""
        return await self.resolve(repository, reference)

    async def has_blob(self, repository: str, digest: str) -> bool:
        """Say whether the blob is there."""
        return digest in self._blobs[repository]

    async def push_blob(self, repository: str, source: Path | bytes, media_type: str) -> Descriptor:
        """Store a blob."""
        content = source if isinstance(source, bytes) else await asyncio.to_thread(source.read_bytes)
        digest = _digest(content)
        self._blobs[repository][digest] = content
        return Descriptor(media_type=media_type, digest=digest, size=len(content))

    async def push(self, repository: str, artifact: Artifact, *, tag: str = "") -> Descriptor:
        """Store a manifest, then move the tag."""
        for blob in (*artifact.layers, *([artifact.config] if artifact.config else ())):
            self._blob(repository, blob.digest)
        descriptor = _describe(artifact)
        self._manifests[repository][descriptor.digest] = artifact
        if tag:
            self._tags[repository][tag] = descriptor.digest
        return descriptor

    async def pull(self, repository: str, reference: str) -> Artifact:
        """Read a manifest."""
        return self._manifests[repository][(await self.resolve(repository, reference)).digest]

    async def read_blob(self, repository: str, digest: str) -> AsyncIterator[bytes]:
        """Stream a blob."""
        content = self._blob(repository, digest)
        for start in range(0, len(content), _CHUNK_BYTES):
            yield content[start : start + _CHUNK_BYTES]

    async def mount(self, repository: str, digest: str, source: str) -> bool:
        """Share a blob of another repository."""
        if digest not in self._blobs[source]:
            return False
        self._blobs[repository][digest] = self._blobs[source][digest]
        return True

    async def referrers(
        self, repository: str, digest: str, artifact_type: str = ""
    ) -> tuple[Descriptor, ...]:
        """List what speaks of a manifest."""
        found = (
            attrs.evolve(_describe(one), annotations=one.annotations, artifact_type=one.artifact_type)
            for one in self._manifests[repository].values()
            if one.subject and one.subject.digest == digest and artifact_type in ("", one.artifact_type)
        )
        return tuple(sorted(found, key=lambda one: one.digest))

    async def delete(self, repository: str, reference: str) -> None:
        """Remove a tag, or a manifest with its tags and referrers."""
        digest = (await self.resolve(repository, reference)).digest
        if self._tags[repository].pop(reference, None) is not None:
            return
        for one in await self.referrers(repository, digest):
            await self.delete(repository, one.digest)
        del self._manifests[repository][digest]
        kept = {tag: at for tag, at in self._tags[repository].items() if at != digest}
        self._tags[repository] = kept

    def _blob(self, repository: str, digest: str) -> bytes:
        if digest not in self._blobs[repository]:
            raise NotFound(f"no blob {digest} in {repository!r}", place=self.name)
        return self._blobs[repository][digest]


def _describe(artifact: Artifact) -> Descriptor:
    content = json.dumps(attrs.asdict(artifact), sort_keys=True, default=dict).encode()
    return Descriptor(media_type=MANIFEST_TYPE, digest=_digest(content), size=len(content))


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
