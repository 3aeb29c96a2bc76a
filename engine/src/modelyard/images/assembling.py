"""Assemble an image layer by layer, straight into a registry: no daemon, no root, no script run.

Blobs come first, then the configuration, the manifest, and last its tag: whoever is killed in between
leaves nothing that a tag names, and whoever tries again finds the blobs that are there already.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable
from pathlib import Path

import attrs

from modelyard.api import Artifact, Compression, Descriptor, NotFound, StoreDamaged
from modelyard.images.bases import bring_layers
from modelyard.images.configs import CONFIG_TYPE, write_config
from modelyard.images.images import Addition, Image, Repository
from modelyard.images.layers import Layer, write_layer
from modelyard.images.memos import LayerMemo, NoMemo
from modelyard.processes import disk_errors


async def assemble(
    image: Image,
    *,
    source: Repository,
    target: Repository,
    tag: str,
    folder: Path,
    memo: LayerMemo | None = None,
) -> Descriptor:
    """Store an image in `target` under `tag` and return its manifest; what is there already is not sent.

    `source` holds the base; `folder` takes one layer at a time and is left as it was; `memo` spares reading
    what was packed before. Raises `ImageUnbuildable` when a file changed since it was listed.
    """
    packer = _Packer(target, folder, memo or NoMemo(), image.compression)
    try:
        return await _put_together(image, source, packer, tag)
    except NotFound:
        # the registry lost what it had a moment ago: now each blob is asked for, and what is missing is sent
        return await _put_together(image, source, packer, tag)


async def _put_together(image: Image, source: Repository, packer: _Packer, tag: str) -> Descriptor:
    target = packer.target
    await bring_layers(image.base, source, target, packer.folder)
    layers = [await packer.layer(addition) for addition in image.additions]
    content = write_config(image, layers)
    config = await target.registry.push_blob(target.name, content, CONFIG_TYPE)
    blobs = (*image.base.layers, *(layer.blob for layer in layers))
    return await target.registry.push(target.name, Artifact(CONFIG_TYPE, blobs, config=config), tag=tag)


async def store_layers(
    additions: Iterable[Addition],
    target: Repository,
    folder: Path,
    memo: LayerMemo,
    *,
    compression: Compression = "gzip",
) -> list[Layer]:
    """Store layers in a repository and give what they became; those that are there already are not sent."""
    packer = _Packer(target, folder, memo, compression)
    return [await packer.layer(addition) for addition in additions]


async def is_known(key: str, target: Repository, memo: LayerMemo) -> bool:
    """Say whether the layer of a key was made before and the registry still has it."""
    known = memo.load(key)
    return known is not None and await target.registry.has_blob(target.name, known.blob.digest)


@attrs.frozen
class _Packer:
    """Packs layers and pushes them; what was packed before and is still there is left alone."""

    target: Repository
    folder: Path
    memo: LayerMemo
    compression: Compression

    async def layer(self, addition: Addition) -> Layer:
        known = self.memo.load(addition.key) if addition.key else None
        if known is not None and await self.target.registry.has_blob(self.target.name, known.blob.digest):
            return known
        layer = await self._add(addition)
        if addition.key:
            self.memo.save(addition.key, layer)
        return layer

    async def _add(self, addition: Addition) -> Layer:
        compression = self.compression if addition.compressed else None
        with disk_errors(self.folder), tempfile.TemporaryDirectory(dir=self.folder, prefix="layer-") as inner:
            path = Path(inner) / "layer"
            entries = await asyncio.to_thread(addition.listed)
            layer = await asyncio.to_thread(write_layer, entries, path, compression=compression)
            if not await self.target.registry.has_blob(self.target.name, layer.blob.digest):
                await _push(layer.blob, path, self.target)
        return layer


async def _push(blob: Descriptor, path: Path, target: Repository) -> None:
    stored = await target.registry.push_blob(target.name, path, blob.media_type)
    if stored.digest != blob.digest:
        raise StoreDamaged(
            "the layer was stored otherwise than it was written",
            place=f"{target.registry.name}: {target.name}",
            remedy="look at the disk of this machine and try again",
        )
