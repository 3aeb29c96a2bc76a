"""The spool: an OCI layout in the cache, where images of the daemon lie in pieces.

A daemon gives an image whole or not at all, so it is exported once and kept under its identity, and what is
on its way to the daemon lies here until its manifest comes. All of it can be made again, but for artifacts
that are no images: these stay until they are deleted. Blocking; callers use threads.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import attrs
from modelyard.api import Artifact, Descriptor, ModelyardError, NotFound, StoreDamaged
from modelyard.archives import TAR_TYPE, ArchiveError, read_archive

from modelyard_registry import manifests
from modelyard_registry.daemon.connection import Docker, Image
from modelyard_registry.errors import told_plainly
from modelyard_registry.layout import OciLayoutRegistry
from modelyard_registry.layout.collecting import collect
from modelyard_registry.layout.folder import CHUNK_BYTES, Layout, chunks_of

IMAGES = "images"
"""Tags of this repository of the layout are identities of images, without `sha256:`."""
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
KEPT_SECONDS = 7 * 86_400.0
"""An export that nobody asked for in this time is dropped: it can be made again."""


_POLL_SECONDS = 0.05


class Stop(threading.Event):
    """Set by whoever no longer waits for a thread."""

    def watched(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass chunks on until it is set."""
        for chunk in chunks:
            if self.is_set():
                raise InterruptedError("nobody waits for it any more")
            yield chunk


@attrs.frozen
class _Keeper:
    layout: Layout

    def store(self, chunks: Iterator[bytes], /) -> tuple[str, int]:
        return self.layout.store(chunks)

    def chunks(self, digest: str, /) -> Iterator[bytes]:
        return chunks_of(self.layout.blob(digest))


@attrs.frozen
class Spool:
    """Keeps exports under `root`; many processes may use one."""

    root: Path
    clock: Callable[[], float] = attrs.field(default=time.time, repr=False)

    @property
    def registry(self) -> OciLayoutRegistry:
        """The layout, with the promises of a registry."""
        return OciLayoutRegistry(self.root, clock=self.clock)

    @property
    def layout(self) -> Layout:
        """The folder of the layout."""
        return Layout(self.root, self.clock)

    def manifest_of(self, image: Image) -> Descriptor | None:
        """Give the manifest of an image that lies here whole; it is kept for another while."""
        with told_plainly(self.root):
            found = self.layout.read_index().find(IMAGES, _key(image))
            if found is None or not self._is_whole(found):
                return None
            self.layout.renew(found.digest)
        return found

    def image_of(self, digest: str) -> str:
        """Give the identity of the image that a manifest describes; empty = it is not known."""
        with told_plainly(self.root):
            index = self.layout.read_index()
        for entry in index.entries:
            if entry.repository == IMAGES and entry.tag and entry.manifest.digest == digest:
                return f"sha256:{entry.tag}"
        return ""

    def export(self, docker: Docker, image: Image, stop: Stop) -> Descriptor:
        """Make an image lie here, exported if nobody has done so; processes that want the same take turns."""
        with told_plainly(self.root):
            self.layout.create()
            with self._turn(_key(image), stop):
                if found := self.manifest_of(image):
                    return found
                self._sweep(docker)
                return self._export(docker, image, stop)

    def remember(self, image: str, manifest: Descriptor) -> None:
        """Note which manifest describes an image."""
        with told_plainly(self.root), self.layout.lock():
            index = self.layout.read_index().with_manifest(IMAGES, image.removeprefix("sha256:"), manifest)
            self.layout.write_index(index)

    def _export(self, docker: Docker, image: Image, stop: Stop) -> Descriptor:
        try:
            with closing(docker.save(image.id)) as archive:
                saved = read_archive(stop.watched(archive), _Keeper(self.layout))
        except ArchiveError as failure:
            raise _damaged(image, str(failure)) from failure
        if saved.diff_ids != image.diff_ids:
            raise _damaged(image, "its layers are not those that the daemon names")
        config = self._store(saved.config, CONFIG_TYPE)
        layers = tuple(Descriptor(one.media_type, one.digest, one.size) for one in saved.layers)
        manifest = self._store(
            manifests.encode(Artifact(CONFIG_TYPE, layers, config=config)), manifests.MANIFEST_TYPE
        )
        self.remember(image.id, manifest)
        return manifest

    def _store(self, content: bytes, media_type: str) -> Descriptor:
        digest, size = self.layout.store(iter([content]))
        return Descriptor(media_type, digest, size)

    def _is_whole(self, manifest: Descriptor) -> bool:
        """Sizes alone: every byte is checked when it is read."""
        try:
            content = self.layout.blob(manifest.digest).read_bytes()
            blobs = manifests.blobs_of(manifests.decode(content))
            return manifests.digest_of(content) == manifest.digest and all(
                self.layout.blob(blob.digest).stat().st_size == blob.size and self.layout.renew(blob.digest)
                for blob in blobs
            )
        except (FileNotFoundError, ValueError):
            return False

    @contextmanager
    def _turn(self, key: str, stop: Stop) -> Iterator[None]:
        folder = self.root / "exports"
        folder.mkdir(exist_ok=True)
        # a few names suffice: images that share one wait for each other, and no file is ever removed
        name = hashlib.sha256(key.encode()).hexdigest()[:2]
        file = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _acquire(file):
                if stop.wait(_POLL_SECONDS):
                    raise InterruptedError("nobody waits for it any more")
            yield
        finally:
            os.close(file)

    def _sweep(self, docker: Docker) -> None:
        """Drop exports that nobody has asked for lately, and what a killed one left."""
        with self.layout.lock():
            index = self.layout.read_index()
            for entry in index.entries:
                if entry.repository == IMAGES and self._is_old(entry.manifest, entry.tag, docker):
                    index = index.without(IMAGES, entry.tag or entry.manifest.digest)
            self.layout.write_index(index)
            collect(self.layout, index, grace_seconds=self.registry.grace_seconds)

    def _is_old(self, manifest: Descriptor, key: str, docker: Docker) -> bool:
        path = self.layout.blob(manifest.digest)
        with suppress(FileNotFoundError):
            if path.stat().st_mtime > self.clock() - KEPT_SECONDS:
                return False
            return not key or _can_be_made_again(path.read_bytes()) or docker.find(f"sha256:{key}") is None
        return True


def _acquire(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_artifact(content: bytes) -> Artifact:
    """Read a manifest. Raises `ModelyardError`."""
    try:
        return manifests.decode(content)
    except (ValueError, KeyError) as failure:
        raise StoreDamaged(f"a manifest of the spool is damaged: {failure}") from failure


def _can_be_made_again(manifest: bytes) -> bool:
    """Whether an export gives the very same manifest; what was pushed with compressed layers it does not."""
    return all(layer.media_type == TAR_TYPE for layer in _read_artifact(manifest).layers)


def _key(image: Image) -> str:
    return image.id.removeprefix("sha256:")


def _damaged(image: Image, why: str) -> ModelyardError:
    return StoreDamaged(
        f"what Docker gave of an image is damaged: {why}",
        place=(image.tags or (image.id,))[0],
        remedy="remove the image (`docker rmi`) and pull it again",
    )


def not_found(name: str) -> NotFound:
    """Say that Docker lacks an image and nothing was to be pulled."""
    return NotFound("Docker has no such image", place=name, remedy=f"`docker pull {name}`, or mend the name")


def read_whole(layout: Layout, digest: str) -> Iterator[bytes]:
    """Give a blob in pieces, checked against its digest at the end."""
    hasher = hashlib.sha256()
    with layout.blob(digest).open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            hasher.update(chunk)
            yield chunk
    if f"sha256:{hasher.hexdigest()}" != digest:
        raise StoreDamaged(
            "a blob of the spool is damaged", place=str(layout.blob(digest)), remedy="push it again"
        )
