"""Pack layers and store them in a registry; what was packed before and is still there is left alone."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import attrs

from modelyard.api import Compression, ServerRegistry, StoreDamaged
from modelyard.images.entries import Entry
from modelyard.images.growing import GrowingLayer, Told
from modelyard.images.images import Addition, Repository
from modelyard.images.layers import Layer, write_layer
from modelyard.images.memos import LayerMemo
from modelyard.processes import disk_errors


@attrs.frozen
class UnderWay:
    """A layer that is known by what it will be while it is still being sent; whoever holds it ends `sent`."""

    key: str
    layer: Layer
    sent: asyncio.Task[None]


async def store_layer(
    addition: Addition,
    target: Repository,
    folder: Path,
    memo: LayerMemo,
    *,
    compression: Compression = "gzip",
) -> Layer:
    """Store a layer in a repository and give what it became; one that is there already is not sent."""
    return await Packer(target, folder, memo, compression).layer(addition)


async def send_layer(
    addition: Addition,
    target: Repository,
    folder: Path,
    memo: LayerMemo,
    *,
    compression: Compression = "gzip",
) -> UnderWay:
    """Begin to store a layer that has a key; returns as soon as it is packed, or known from before."""
    packer = Packer(target, folder, memo, compression)
    packed: asyncio.Future[Layer] = asyncio.get_running_loop().create_future()
    sent = asyncio.create_task(packer.send(addition, packed), name=f"layer {addition.key[:12]}")
    try:
        await asyncio.wait((packed, sent), return_when=asyncio.FIRST_COMPLETED)
        if not packed.done():
            await sent  # which says why
        return UnderWay(addition.key, packed.result(), sent)
    except BaseException:
        sent.cancel()
        await asyncio.gather(sent, return_exceptions=True)
        raise


async def is_known(key: str, target: Repository, memo: LayerMemo) -> bool:
    """Say whether the layer of a key was made before and the registry still has it."""
    known = memo.load(key)
    return known is not None and await target.registry.has_blob(target.name, known.blob.digest)


@attrs.frozen
class Packer:
    """Packs layers of one repository, one at a time in `folder`."""

    target: Repository
    folder: Path
    memo: LayerMemo
    compression: Compression

    async def layer(self, addition: Addition) -> Layer:
        """Give a layer that is in the registry by now."""
        packed: asyncio.Future[Layer] = asyncio.get_running_loop().create_future()
        await self.send(addition, packed)
        return packed.result()

    async def send(self, addition: Addition, packed: asyncio.Future[Layer]) -> None:
        """Store a layer, and tell what it is as soon as that is known."""
        known = self.memo.load(addition.key) if addition.key else None
        if known is not None and await self.target.registry.has_blob(self.target.name, known.blob.digest):
            packed.set_result(known)
            return
        layer = await self._add(addition, packed)
        if not packed.done():
            packed.set_result(layer)
        if addition.key:
            self.memo.save(addition.key, layer)

    async def _add(self, addition: Addition, packed: asyncio.Future[Layer]) -> Layer:
        compression = self.compression if addition.compressed else None
        with disk_errors(self.folder), tempfile.TemporaryDirectory(dir=self.folder, prefix="layer-") as inner:
            path = Path(inner) / "layer"
            entries = await asyncio.to_thread(addition.listed)
            async with GrowingLayer.written(path, partial(_write, entries, path, compression)) as growing:
                growing.tell(packed)
                await _push(growing, self.target)
                return await growing.layer()


def _write(entries: Iterable[Entry], path: Path, compression: Compression | None, told: Told) -> Layer:
    return write_layer(entries, path, compression=compression, told=told)


async def _push(growing: GrowingLayer, target: Repository) -> None:
    """Send a layer, to a server while it is written; what is there already is not sent to its end."""
    if isinstance(target.registry, ServerRegistry):
        await target.registry.push_growing(target.name, growing)
        return
    blob = await growing.whole()
    if await target.registry.has_blob(target.name, blob.digest):
        return
    stored = await target.registry.push_blob(target.name, growing.path, blob.media_type)
    if stored.digest != blob.digest:
        raise StoreDamaged(
            "the layer was stored otherwise than it was written",
            place=f"{target.registry.name}: {target.name}",
            remedy="look at the disk of this machine and try again",
        )
