"""The registry record of one server: the promise of `Registry`, kept over the distribution API.

Beyond the promise it lists tags, and stores documents as they are.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path

import attrs
from modelyard.api import Artifact, Descriptor, GrowingFile, Maturity, NotFound, Platform, UserError

from modelyard_registry import manifests, platforms
from modelyard_registry.distribution import documents, downloads, listing, referring, uploads
from modelyard_registry.distribution.documents import Document
from modelyard_registry.distribution.growing import upload_growing
from modelyard_registry.distribution.servers import Server
from modelyard_registry.distribution.session import Limits, Session
from modelyard_registry.distribution.sessions import Sessions
from modelyard_registry.distribution.uploads import Progress
from modelyard_registry.errors import unreadable
from modelyard_registry.manifests import Referral
from modelyard_registry.names import check_digest, check_reference, check_repository, check_tag, is_digest
from modelyard_registry.platforms import INDEX_TYPES

MOST_LAYERS = 10_000
LOOKS_AT_ONCE = 8


def _told_nobody(_sent: int, _of: int) -> None:
    pass


@attrs.frozen
class DistributionRegistry:
    """One server of `registries.toml`. It may be used from any event loop, and connects when first asked."""

    server: Server
    environ: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)
    limits: Limits = attrs.field(factory=Limits, repr=False)
    maturity: Maturity = attrs.field(default=Maturity.ALPHA, init=False)
    _sessions: Sessions = attrs.field(
        default=attrs.Factory(lambda self: Sessions(self.server, self.environ, self.limits), takes_self=True),
        init=False,
        repr=False,
        eq=False,
    )

    @property
    def name(self) -> str:
        """The name in `registries.toml`."""
        return self.server.name

    def address(self, repository: str) -> str:
        """Say what other tools call a repository: the server's host, then its name there."""
        return f"{self.server.origin.netloc}/{self.server.full(repository)}"

    async def resolve(self, repository: str, reference: str) -> Descriptor:
        """Turn a tag or digest into the descriptor of the manifest, or of the index of several."""
        full = self._full(repository)
        check_reference(reference)
        return await documents.describe(self._here(), full, reference)

    async def resolve_platform(self, repository: str, reference: str, platform: Platform) -> Descriptor:
        """Turn a tag or digest into the descriptor of the manifest for one kind of machine."""
        found = await self.read_document(repository, reference)
        if found.descriptor.media_type not in INDEX_TYPES:
            return found.descriptor
        place = f"{self.server.origin}/{self.server.full(repository)}:{reference}"
        return platforms.choose(found.content, platform, place)

    async def has_blob(self, repository: str, digest: str) -> bool:
        """Say whether the blob is there."""
        full = self._full(repository)
        check_digest(digest)
        return await downloads.blob_size(self._here(), full, digest) is not None

    async def push_blob(
        self,
        repository: str,
        source: Path | bytes,
        media_type: str,
        *,
        progress: Progress = _told_nobody,
    ) -> Descriptor:
        """Store a blob and return its descriptor; what is there already is not sent, unless it is quite small."""
        full = self._full(repository)
        measured = await uploads.measure(source)
        await uploads.upload(self._here(), full, measured, progress)
        return Descriptor(media_type, measured.digest, measured.size)

    async def push_growing(
        self, repository: str, source: GrowingFile, *, progress: Progress = _told_nobody
    ) -> Descriptor:
        """Store a blob while its file is written; what is there already is not sent to its end."""
        return await upload_growing(self._here(), self._full(repository), source, progress)

    async def push(self, repository: str, artifact: Artifact, *, tag: str = "") -> Descriptor:
        """Store a manifest whose blobs are all present, read it back, then move the tag."""
        full, blobs, presence = self._full(repository), manifests.blobs_of(artifact), self._here().presence
        for blob in blobs:
            check_digest(blob.digest)
        empty = manifests.digest_of(manifests.EMPTY_CONFIG)
        # nearly every repository has it: then one question is less than sending it
        if artifact.config is None and not await self.has_blob(repository, empty):
            await self.push_blob(repository, manifests.EMPTY_CONFIG, manifests.EMPTY_TYPE)
        await self._require(full, blobs)
        content = manifests.encode(artifact)
        try:
            stored = await self.push_document(repository, content, manifests.MANIFEST_TYPE, tag=tag)
        except (NotFound, UserError):
            # perhaps it lost what it had a moment ago: then say which blob that is
            presence.forget(full)
            await self._require(full, blobs)
            raise
        presence.stored(full, stored.digest, blobs)
        return stored

    async def push_document(
        self, repository: str, content: bytes, media_type: str, *, tag: str = ""
    ) -> Descriptor:
        """Store a manifest or an index byte for byte; the registry looks for what it names."""
        full = self._full(repository)
        if tag:
            check_tag(tag)
        session = self._here()
        stored, named = await documents.store(session, full, content, media_type, tag)
        if (referral := _referral(content, media_type)) and stored.subject != referral.subject:
            await referring.enlist(session, full, referral)
        # a tag that is there already may be one that nobody may write again
        if tag and named != stored.descriptor.digest:
            await documents.put(session, full, tag, content, media_type)
        return stored.descriptor

    async def pull(self, repository: str, reference: str) -> Artifact:
        """Read a manifest, digest-checked."""
        found = await self.read_document(repository, reference)
        place = f"{self.server.origin}/{self.server.full(repository)}:{reference}"
        if found.descriptor.media_type in INDEX_TYPES:
            raise UserError(
                "this is an index of manifests for several platforms",
                place=place,
                remedy="name the digest of the one for your machines",
            )
        try:
            return _modest(manifests.decode(found.content))
        except (ValueError, RecursionError) as failure:
            raise unreadable(place, failure) from failure

    async def read_document(self, repository: str, reference: str) -> Document:
        """Read a manifest or an index byte for byte, digest-checked."""
        full = self._full(repository)
        check_reference(reference)
        return await documents.fetch(self._here(), full, reference)

    async def read_blob(self, repository: str, digest: str) -> AsyncIterator[bytes]:
        """Stream a blob, digest-checked; raises at the end when the bytes were wrong."""
        full = self._full(repository)
        check_digest(digest)
        async with aclosing(downloads.read(self._here(), full, digest)) as pieces:
            async for piece in pieces:
                yield piece

    async def mount(self, repository: str, digest: str, source: str) -> bool:
        """Make a blob of `source` visible in `repository` without copying; False = push it."""
        full, whence = self._full(repository), self._full(source)
        check_digest(digest)
        return await uploads.mount(self._here(), full, digest, whence)

    async def mount_from(self, repository: str, digest: str, address: str) -> bool:
        """Make a blob of another record's repository visible here; False = not of this server, or not for us."""
        host, _, whence = address.partition("/")
        if host != self.server.origin.netloc:
            return False
        check_repository(whence)
        check_digest(digest)
        try:
            return await uploads.mount(self._here(), self._full(repository), digest, whence)
        except UserError:
            return False  # this login may not read there

    async def referrers(
        self, repository: str, digest: str, artifact_type: str = ""
    ) -> tuple[Descriptor, ...]:
        """List what speaks of a manifest: the registry's own list, else the one that its clients keep."""
        full = self._full(repository)
        check_digest(digest)
        return await referring.list_referrers(self._here(), full, digest, artifact_type)

    async def delete(self, repository: str, reference: str) -> None:
        """Remove a tag; or a manifest with all its tags and all that speaks of it.

        The registry collects blobs in its own time.
        """
        full = self._full(repository)
        check_reference(reference)
        remove = referring.remove if is_digest(reference) else documents.remove
        self._here().presence.forget(full)
        await remove(self._here(), full, reference)

    async def list_tags(self, repository: str) -> tuple[str, ...]:
        """Give every tag of a repository, sorted."""
        return await listing.list_tags(self._here(), self._full(repository))

    def _here(self) -> Session:
        return self._sessions.here()

    def _full(self, repository: str) -> str:
        check_repository(repository)
        full = self.server.full(repository)
        check_repository(full)
        return full

    async def _require(self, full: str, blobs: tuple[Descriptor, ...]) -> None:
        session, turn = self._here(), asyncio.Semaphore(LOOKS_AT_ONCE)

        async def look(blob: Descriptor) -> None:
            async with turn:
                size = await downloads.blob_size(session, full, blob.digest)
            if size is None:
                raise NotFound(
                    f"the registry has no blob {blob.digest}, which the manifest names",
                    place=f"{self.server.origin}/{full}",
                    remedy="push the blobs first",
                )
            if size not in (blob.size, -1):
                raise unreadable(
                    f"{self.server.origin}/{full}@{blob.digest}",
                    ValueError(f"it has {size} bytes, the manifest says {blob.size}"),
                )

        await asyncio.gather(*(look(blob) for blob in blobs))


def _referral(content: bytes, media_type: str) -> Referral | None:
    try:
        return manifests.read_referral(content, media_type)
    except (ValueError, RecursionError):
        return None  # the registry took what we cannot read: it is stored as it is


def _modest(artifact: Artifact) -> Artifact:
    if len(artifact.layers) > MOST_LAYERS:
        raise ValueError(f"it names more than {MOST_LAYERS} layers")
    return artifact
