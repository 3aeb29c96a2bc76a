"""The registry record `oci-layout`: one OCI image layout folder that holds every repository.

Blobs belong to the folder, not to a repository: mounting costs nothing and equal files are kept once.
File work runs in threads, so that the caller's event loop goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import attrs
from modelyard.api import Artifact, Descriptor, Maturity, NotFound, Platform

from modelyard_registry import manifests
from modelyard_registry.errors import absent, damaged_blob, told_plainly, unreadable_source
from modelyard_registry.layout.collecting import collect
from modelyard_registry.layout.folder import CHUNK_BYTES, Layout, chunks_of
from modelyard_registry.layout.index import Index
from modelyard_registry.layout.referring import list_referrers, with_referrers
from modelyard_registry.names import check_digest, check_reference, check_repository, check_tag, is_digest
from modelyard_registry.platforms import INDEX_TYPES, choose, list_platforms

GRACE_SECONDS = 3600.0
"""A blob nothing names lives this long after it was last pushed, mounted or asked for."""


@attrs.frozen
class OciLayoutRegistry:
    """Stores artifacts under `root`; many processes may use one root at once."""

    root: Path
    grace_seconds: float = GRACE_SECONDS
    clock: Callable[[], float] = attrs.field(default=time.time, repr=False)
    name: str = attrs.field(default="oci-layout", init=False)
    maturity: Maturity = attrs.field(default=Maturity.BETA, init=False)

    @property
    def layout(self) -> Layout:
        """The folder behind it."""
        return Layout(self.root, self.clock)

    def address(self, repository: str) -> str:  # noqa: ARG002  a folder of this machine has no name elsewhere
        """Give none: only the engine reaches this folder."""
        return ""

    async def list_tags(self, repository: str) -> tuple[str, ...]:
        """Give every tag of a repository, sorted."""
        check_repository(repository)
        return await asyncio.to_thread(self._list_tags, repository)

    async def resolve(self, repository: str, reference: str) -> Descriptor:
        """Turn a tag or digest into the manifest's descriptor."""
        check_repository(repository)
        check_reference(reference)
        return await asyncio.to_thread(self._resolve, repository, reference)

    async def resolve_platform(self, repository: str, reference: str, platform: Platform) -> Descriptor:
        """Turn a tag or digest into the descriptor of the manifest for one kind of machine."""
        found = await self.resolve(repository, reference)
        if found.media_type not in INDEX_TYPES:
            return found
        content = await asyncio.to_thread(self._content, found.digest)
        return choose(content, platform, f"{self.root}: {repository}:{reference}")

    async def has_blob(self, repository: str, digest: str) -> bool:
        """Say whether the blob is there, every byte checked; keeps it from collection for a while."""
        check_repository(repository)
        check_digest(digest)
        return await asyncio.to_thread(self._has_blob, digest)

    async def push_blob(self, repository: str, source: Path | bytes, media_type: str) -> Descriptor:
        """Store a blob and return its descriptor; one that is damaged is replaced."""
        check_repository(repository)
        return await asyncio.to_thread(self._push_blob, source, media_type)

    async def push(self, repository: str, artifact: Artifact, *, tag: str = "") -> Descriptor:
        """Store a manifest whose blobs are all present, read it back, then move the tag."""
        check_repository(repository)
        if tag:
            check_tag(tag)
        for blob in manifests.blobs_of(artifact):
            check_digest(blob.digest)
        return await asyncio.to_thread(self._push, repository, artifact, tag)

    async def pull(self, repository: str, reference: str) -> Artifact:
        """Read a manifest, digest-checked."""
        manifest = await self.resolve(repository, reference)
        return await asyncio.to_thread(self._pull, manifest.digest)

    async def read_blob(self, repository: str, digest: str) -> AsyncIterator[bytes]:
        """Stream a blob, digest-checked; raises at the end when the bytes were wrong."""
        check_repository(repository)
        check_digest(digest)
        path = self.layout.blob(digest)
        hasher = hashlib.sha256()
        with told_plainly(path):
            try:
                file = await asyncio.to_thread(path.open, "rb")
            except FileNotFoundError:
                raise absent(f"blob {digest}", self.root) from None
            with file:
                while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                    hasher.update(chunk)
                    yield chunk
        if f"sha256:{hasher.hexdigest()}" != digest:
            raise damaged_blob(path, "its bytes do not match its digest")

    async def mount(self, repository: str, digest: str, source: str) -> bool:
        """Say whether the blob is there: within one folder a blob of one repository is a blob of all."""
        check_repository(source)
        return await self.has_blob(repository, digest)

    async def referrers(
        self, repository: str, digest: str, artifact_type: str = ""
    ) -> tuple[Descriptor, ...]:
        """List what speaks of a manifest, whoever put it into the folder."""
        check_repository(repository)
        check_digest(digest)
        found = await asyncio.to_thread(self._referrers, repository, digest)
        return tuple(one for one in found if artifact_type in ("", one.artifact_type))

    async def delete(self, repository: str, reference: str) -> None:
        """Remove a tag, or a manifest with all its tags and all that speaks of it; then collect old blobs."""
        check_repository(repository)
        check_reference(reference)
        await asyncio.to_thread(self._delete, repository, reference)

    def _resolve(self, repository: str, reference: str) -> Descriptor:
        with told_plainly(self.root):
            index = self.layout.read_index()
        found = index.find(repository, reference)
        if found is None and is_digest(reference):
            found = self._find_below(index, repository, reference)
        if found is None:
            raise self._no_manifest(repository, reference)
        return found

    def _list_tags(self, repository: str) -> tuple[str, ...]:
        with told_plainly(self.root):
            found = self.layout.read_index().tags(repository)
        if found is None:
            raise NotFound("there is no such repository", place=f"{self.root}: {repository}")
        return found

    def _find_below(self, index: Index, repository: str, digest: str) -> Descriptor | None:
        """Look for a digest among the manifests of the repository's image indexes, which other tools write."""
        for several in index.image_indexes(repository):
            for _, manifest in list_platforms(self._content(several.digest), str(self.root)):
                if manifest.digest == digest:
                    return attrs.evolve(manifest, annotations={})
        return None

    def _has_blob(self, digest: str) -> bool:
        with told_plainly(self.root):
            return self.layout.is_whole(digest) and self.layout.renew(digest)

    def _push_blob(self, source: Path | bytes, media_type: str) -> Descriptor:
        if isinstance(source, Path) and not os.access(source, os.R_OK):
            raise unreadable_source(source)
        with told_plainly(self.root):
            self.layout.create()
            digest = (
                manifests.digest_of(source) if isinstance(source, bytes) else self.layout.digest_file(source)
            )
            if self._has_blob(digest):
                return Descriptor(media_type, digest, self.layout.blob(digest).stat().st_size)
            # the source is hashed again while it is copied: what is stored is what its name says
            stored, size = self.layout.store(chunks_of(source))
            return Descriptor(media_type, stored, size)

    def _push(self, repository: str, artifact: Artifact, tag: str) -> Descriptor:
        content = manifests.encode(artifact)
        digest = manifests.digest_of(content)
        manifest = Descriptor(manifests.MANIFEST_TYPE, digest, len(content))
        with told_plainly(self.root):
            layout = self.layout
            layout.create()
            layout.store(iter([manifests.EMPTY_CONFIG]))
            with layout.lock():
                self._require_blobs(artifact)
                layout.store(iter([content]))
                if not layout.is_whole(digest):
                    raise damaged_blob(layout.blob(digest), "it was read back otherwise than written")
                layout.write_index(layout.read_index().with_manifest(repository, tag, manifest))
        return manifest

    def _require_blobs(self, artifact: Artifact) -> None:
        for blob in manifests.blobs_of(artifact):
            path = self.layout.blob(blob.digest)
            if not path.exists():
                raise absent(f"blob {blob.digest}, which the manifest names", self.root)
            if path.stat().st_size != blob.size:
                raise damaged_blob(path, f"it has {path.stat().st_size} bytes, the manifest says {blob.size}")

    def _content(self, digest: str) -> bytes:
        path = self.layout.blob(digest)
        with told_plainly(path):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                raise damaged_blob(path, "the index names this manifest and it is missing") from None
        if manifests.digest_of(content) != digest:
            raise damaged_blob(path, "its bytes do not match its digest")
        return content

    def _pull(self, digest: str) -> Artifact:
        path = self.layout.blob(digest)
        content = self._content(digest)
        try:
            return manifests.decode(content)
        except (ValueError, KeyError) as failure:
            raise damaged_blob(path, f"it is no image manifest ({failure})") from failure

    def _referrers(self, repository: str, digest: str) -> tuple[Descriptor, ...]:
        with told_plainly(self.root):
            return list_referrers(self.layout, self.layout.read_index(), repository, digest)

    def _delete(self, repository: str, reference: str) -> None:
        self._resolve(repository, reference)
        with told_plainly(self.root), self.layout.lock():
            index = self.layout.read_index()
            gone = {reference}
            if is_digest(reference):
                gone |= with_referrers(self.layout, index, repository, reference)
            for one in gone:
                index = index.without(repository, one)
            self.layout.write_index(index)
            collect(self.layout, index, grace_seconds=self.grace_seconds)

    def _no_manifest(self, repository: str, reference: str) -> NotFound:
        joint = "@" if is_digest(reference) else ":"
        return absent(f"manifest {repository}{joint}{reference}", self.root)
