"""The registry record `docker-daemon`: what the Docker daemon of this machine has or can pull.

An image is asked of the daemon once and then lies in the spool; what is pushed lies in the spool until its
manifest comes, and is then loaded. Whether the daemon answers is asked again for every call.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import attrs
from modelyard.api import Artifact, Descriptor, Maturity, NotFound, Platform, StoreDamaged, UserError
from modelyard.archives import ArchiveError

from modelyard_registry import manifests
from modelyard_registry.daemon.connection import Docker, Image
from modelyard_registry.daemon.names import check_name, familiar, shelf_of, whole_name
from modelyard_registry.daemon.spool import CONFIG_TYPE, IMAGES, Spool, Stop, not_found, read_whole
from modelyard_registry.daemon.writing import Piece, write_archive
from modelyard_registry.errors import told_plainly
from modelyard_registry.names import check_digest, check_reference, check_tag, is_digest

CONFIG_TYPES = frozenset({CONFIG_TYPE, "application/vnd.docker.container.image.v1+json"})
_LARGEST_CONFIG = 4 << 20
T = TypeVar("T")


@attrs.frozen
class DockerDaemonRegistry:
    """Images of the daemon that `environ` names; `spool_root` is a folder of the cache.

    `pulls`: whether the daemon is told to pull what it lacks.
    """

    spool_root: Path
    environ: Mapping[str, str] = attrs.field(repr=False)
    pulls: bool = True
    name: str = attrs.field(default="docker-daemon", init=False)
    maturity: Maturity = attrs.field(default=Maturity.ALPHA, init=False)

    @property
    def docker(self) -> Docker:
        """The daemon."""
        return Docker(self.environ)

    @property
    def spool(self) -> Spool:
        """The folder where exports lie."""
        return Spool(self.spool_root)

    def address(self, repository: str) -> str:
        """Give the name itself: so it is called by everything that asks this daemon."""
        return repository

    async def list_tags(self, repository: str) -> tuple[str, ...]:
        """Give every tag of a repository that the daemon or the spool has, sorted."""
        check_name(repository)
        tags = set(await asyncio.to_thread(self.docker.tags, repository))
        try:
            tags |= set(await self.spool.registry.list_tags(shelf_of(repository)))
        except NotFound:
            if not tags:
                raise not_found(repository) from None
        return tuple(sorted(tags))

    async def resolve(self, repository: str, reference: str) -> Descriptor:
        """Turn a tag or digest into the manifest of the image, pulled if the daemon lacks it.

        A digest may be that of such a manifest, of the image in its own registry, or the image's identity.
        """
        return await self._resolve(repository, reference, None)

    async def resolve_platform(self, repository: str, reference: str, platform: Platform) -> Descriptor:
        """Do as `resolve`; an image of another platform is not found, and not replaced."""
        return await self._resolve(repository, reference, platform)

    async def has_blob(self, repository: str, digest: str) -> bool:
        """Say whether the blob lies in the spool: those of an image do once it was resolved."""
        check_name(repository)
        await self._ask()
        return await self.spool.registry.has_blob(IMAGES, digest)

    async def push_blob(self, repository: str, source: Path | bytes, media_type: str) -> Descriptor:
        """Keep a blob in the spool until the manifest comes."""
        check_name(repository)
        await self._ask()
        return await self.spool.registry.push_blob(IMAGES, source, media_type)

    async def push(self, repository: str, artifact: Artifact, *, tag: str = "") -> Descriptor:
        """Load an image whose blobs are all in the spool, read it back, then move its tag.

        What is no image, which the daemon could not keep, stays in the spool.
        """
        check_name(repository)
        if tag:
            check_tag(tag)
        for blob in manifests.blobs_of(artifact):
            check_digest(blob.digest)
        await self._ask()
        diff_ids = await self._diff_ids(artifact)
        if diff_ids is None:
            await asyncio.to_thread(self._require_free, repository, tag)
            return await self.spool.registry.push(shelf_of(repository), artifact, tag=tag)
        # the manifest first, in the spool: it has checked the blobs, and keeps them from collection
        key = manifests.config_of(artifact).digest.removeprefix("sha256:")
        manifest = await self.spool.registry.push(IMAGES, artifact, tag=key)
        await _in_thread(lambda stop: self._load(artifact, manifest, diff_ids, stop))
        await self._move_tag(repository, tag, artifact)
        return manifest

    async def pull(self, repository: str, reference: str) -> Artifact:
        """Read a manifest, digest-checked."""
        found = await self.resolve(repository, reference)
        return await self.spool.registry.pull(await self._shelf(repository, found), found.digest)

    async def read_blob(self, repository: str, digest: str) -> AsyncIterator[bytes]:
        """Stream a blob from the spool, digest-checked; raises at the end when the bytes were wrong."""
        check_name(repository)
        await self._ask()
        async for chunk in self.spool.registry.read_blob(IMAGES, digest):
            yield chunk

    async def mount(self, repository: str, digest: str, source: str) -> bool:
        """Say whether the blob is there: one spool serves every repository."""
        check_name(source)
        return await self.has_blob(repository, digest)

    async def referrers(
        self, repository: str, digest: str, artifact_type: str = ""
    ) -> tuple[Descriptor, ...]:
        """List what speaks of a manifest: it was pushed here and lies in the spool, the daemon keeps no such thing."""
        check_name(repository)
        return await self.spool.registry.referrers(shelf_of(repository), digest, artifact_type)

    async def delete(self, repository: str, reference: str) -> None:
        """Remove a tag, or an image with all its tags in this repository; the last one takes the image along."""
        check_name(repository)
        check_reference(reference)
        await self._ask()
        found = 0
        try:
            await self.spool.registry.delete(shelf_of(repository), reference)
            found += 1
        except NotFound:
            pass
        for name in await asyncio.to_thread(self._names, repository, reference):
            await asyncio.to_thread(self.docker.remove, name)
            found += 1
        if not found:
            raise not_found(whole_name(repository, reference))

    async def _ask(self) -> None:
        """Raise `Unavailable` when no daemon answers."""
        await asyncio.to_thread(self.docker.ping)

    async def _resolve(self, repository: str, reference: str, platform: Platform | None) -> Descriptor:
        check_name(repository)
        check_reference(reference)
        await self._ask()
        try:
            return await self.spool.registry.resolve(shelf_of(repository), reference)
        except NotFound:
            return await _in_thread(lambda stop: self._export(repository, reference, platform, stop))

    def _export(self, repository: str, reference: str, platform: Platform | None, stop: Stop) -> Descriptor:
        name = whole_name(repository, reference)
        image = self._find(name, reference)
        if image is None and self.pulls:
            self.docker.pull(repository, reference, platform)
            image = self._find(name, reference)
        if image is None:
            raise not_found(name)
        if platform and platform.choose([(image.platform, image)]) is None:
            raise _misfit(name, image.platform, platform)
        return self.spool.export(self.docker, image, stop)

    def _find(self, name: str, reference: str) -> Image | None:
        if not is_digest(reference):
            return self.docker.find(name)
        known = self.spool.image_of(reference)
        return (
            (self.docker.find(known) if known else None)
            or self.docker.find(name)
            or self.docker.find(reference)
        )

    def _require_free(self, repository: str, tag: str) -> None:
        if tag and self.docker.find(whole_name(repository, tag)):
            raise _taken(whole_name(repository, tag))

    def _names(self, repository: str, reference: str) -> list[str]:
        """Give the tags of the daemon that a reference means; an image that has none by its identity."""
        image = self._find(whole_name(repository, reference), reference)
        if image is None:
            return []
        if not is_digest(reference):
            return [whole_name(repository, reference)]
        own = familiar(repository)
        return [tag for tag in image.tags if tag.rpartition(":")[0] == own] or (
            [] if image.tags else [image.id]
        )

    async def _diff_ids(self, artifact: Artifact) -> tuple[str, ...] | None:
        """Read which layers an image says it has; None = it is no image."""
        config = artifact.config
        if config is None or config.media_type not in CONFIG_TYPES or config.size > _LARGEST_CONFIG:
            return None
        content = b"".join([part async for part in self.spool.registry.read_blob(IMAGES, config.digest)])
        try:
            return tuple(str(one) for one in json.loads(content)["rootfs"]["diff_ids"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def _load(self, artifact: Artifact, manifest: Descriptor, diff_ids: tuple[str, ...], stop: Stop) -> None:
        layout, config = self.spool.layout, manifests.config_of(artifact)

        def piece(blob: Descriptor) -> Piece:
            def read() -> Iterator[bytes]:
                with told_plainly(layout.root):
                    yield from stop.watched(read_whole(layout, blob.digest))

            return Piece(blob.digest, blob.size, read)

        try:
            self.docker.load(write_archive(piece(config), [piece(layer) for layer in artifact.layers]))
        except ArchiveError as failure:
            raise StoreDamaged(f"the spool is damaged: {failure}", place=str(layout.root)) from failure
        loaded = self.docker.find(config.digest)
        if loaded is None or loaded.diff_ids != diff_ids:
            raise StoreDamaged(
                "the daemon keeps the image otherwise than it was given",
                place=self.docker.address,
                remedy="try again",
            )
        if loaded.id != config.digest:  # a store that names images otherwise
            self.spool.remember(loaded.id, manifest)

    async def _move_tag(self, repository: str, tag: str, artifact: Artifact) -> None:
        if not tag:
            return
        await asyncio.to_thread(self.docker.tag, manifests.config_of(artifact).digest, repository, tag)
        try:  # an artifact of that name gives way
            await self.spool.registry.delete(shelf_of(repository), tag)
        except NotFound:
            return

    async def _shelf(self, repository: str, manifest: Descriptor) -> str:
        is_image = await asyncio.to_thread(self.spool.image_of, manifest.digest)
        return IMAGES if is_image else shelf_of(repository)


async def _in_thread(work: Callable[[Stop], T]) -> T:
    """Run work that may take long; it ends soon after nobody waits for it."""
    stop = Stop()
    try:
        return await asyncio.to_thread(work, stop)
    finally:
        stop.set()


def _misfit(name: str, built: Platform, wanted: Platform) -> NotFound:
    return NotFound(
        f"Docker has this image for {built}, not for {wanted}",
        place=name,
        remedy=f"`docker pull --platform {wanted} {name}`, which replaces the one that is there",
    )


def _taken(name: str) -> UserError:
    return UserError(
        "Docker has an image of this name, and what is pushed is none",
        place=name,
        remedy=f"push it under another name, or `docker rmi {name}` first",
    )
