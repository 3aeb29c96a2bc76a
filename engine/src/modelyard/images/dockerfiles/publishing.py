"""Bring a built image from the daemon to the workspace's registry: what is the base's own is not sent again."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs

from modelyard.api import (
    Artifact,
    BuildOrder,
    BuildSite,
    Descriptor,
    ImageUnbuildable,
    Platform,
    StoreDamaged,
)
from modelyard.archives import ArchiveError, Content, Saved, read_archive
from modelyard.containers.building import BuildDaemon, Stop
from modelyard.images.bases import bring_layers
from modelyard.images.configs import CONFIG_TYPE
from modelyard.images.dockerfiles.configs import clean_config
from modelyard.images.dockerfiles.waiting import finish
from modelyard.images.images import Base, Repository
from modelyard.images.layers import CHUNK_BYTES, GZIP_TYPE
from modelyard.processes import disk_errors

_GZIP_LEVEL = 1


async def publish(
    name: str, base: Base | None, order: BuildOrder, site: BuildSite, daemon: BuildDaemon
) -> Descriptor:
    """Store the daemon's image `name` as the order wants it, without its tag yet; give its manifest.

    `base` None = nothing is known of what lies below. Layers lie in `site.folder` until they are pushed.
    Raises `ImageUnbuildable` when the image is not for the order's platform.
    """
    target = Repository(site.workspace, order.repository)
    with disk_errors(site.folder), tempfile.TemporaryDirectory(dir=site.folder, prefix="export-") as inner:
        export = _Export(Path(inner), frozenset(base.config["rootfs"]["diff_ids"] if base else ()))
        saved = await finish(lambda stop: _export(daemon, name, export, stop))
        config = _config(saved, base, order)
        below = _layers_below(saved, base)
        if base and below:
            source = Repository(site.base, order.base.repository)
            await bring_layers(attrs.evolve(base, layers=below), source, target, site.folder)
        above = [await _push(layer, export, target) for layer in saved.layers[len(below) :]]
    stored = await target.registry.push_blob(target.name, config, CONFIG_TYPE)
    artifact = Artifact(CONFIG_TYPE, (*below, *above), config=stored)
    return await target.registry.push(target.name, artifact)


@attrs.frozen
class _Export:
    """Keeps what is exported in a folder; the base's own layers are only named."""

    folder: Path
    known: frozenset[str]

    def path(self, digest: str) -> Path:
        return self.folder / digest.removeprefix("sha256:")

    def store(self, chunks: Iterator[bytes], /) -> tuple[str, int]:
        arriving, hasher, size = self.folder / "arriving", hashlib.sha256(), 0
        with arriving.open("wb") as file:
            for chunk in chunks:
                hasher.update(chunk)
                size += len(chunk)
                file.write(chunk)
        digest = f"sha256:{hasher.hexdigest()}"
        if digest in self.known:
            arriving.unlink()
        else:
            arriving.replace(self.path(digest))
        return digest, size

    def chunks(self, digest: str, /) -> Iterator[bytes]:
        with self.path(digest).open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk


def _export(daemon: BuildDaemon, name: str, export: _Export, stop: Stop) -> Saved:
    try:
        with contextlib.closing(daemon.save(name, stop)) as archive:
            return read_archive(archive, export)
    except ArchiveError as failure:
        raise StoreDamaged(
            f"what Docker gave of the built image is damaged: {failure}",
            place=daemon.address,
            remedy="look at the daemon's disk and build again",
        ) from failure


def _config(saved: Saved, base: Base | None, order: BuildOrder) -> bytes:
    document = json.loads(saved.config)
    built = Platform(*(str(document.get(key) or "") for key in ("os", "architecture", "variant")))
    if order.platform.choose([(built, built)]) is None:
        raise ImageUnbuildable(
            f"the image was built for {built}, not for {order.platform}",
            place=order.title or order.repository,
            remedy="begin FROM an image for that platform",
        )
    return clean_config(saved.config, base, order)


def _layers_below(saved: Saved, base: Base | None) -> tuple[Descriptor, ...]:
    """Give the base's layers, if the image stands on them and nothing lies between."""
    known = tuple(base.config["rootfs"]["diff_ids"]) if base else ()
    if base is None or saved.diff_ids[: len(known)] != known:
        return ()
    return base.layers


async def _push(layer: Content, export: _Export, target: Repository) -> Descriptor:
    blob = export.path(layer.digest)
    if not layer.compressed:
        blob = await asyncio.to_thread(_compress, blob)
    digest = await asyncio.to_thread(_digest, blob)
    if await target.registry.has_blob(target.name, digest):
        return Descriptor(GZIP_TYPE, digest, blob.stat().st_size)
    return await target.registry.push_blob(target.name, blob, GZIP_TYPE)


def _compress(path: Path) -> Path:
    destination = path.with_name(f"{path.name}.gz")
    # neither a time nor a name in the header: both would change the digest
    with (
        path.open("rb") as plain,
        destination.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=file, mtime=0) as squeezed,
    ):
        shutil.copyfileobj(plain, squeezed, CHUNK_BYTES)
    return destination


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
