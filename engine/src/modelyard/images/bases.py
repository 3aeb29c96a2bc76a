"""Find a base image and bring its layers to where the new image lies."""

from __future__ import annotations

import asyncio
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

import attrs

from modelyard.api import Descriptor, Platform, ServerRegistry, StoreDamaged
from modelyard.images.configs import config_descriptor, read_base
from modelyard.images.images import Base, Repository
from modelyard.processes import disk_errors

_WRITTEN_BYTES = 1 << 20
"""A thread is called for so many bytes: chunks of a network are smaller, and a call costs as much as they."""
_LARGEST_CONFIG = 4 * 1024 * 1024
"""Bytes; a configuration is read into memory."""
_MOST_KNOWN = 64


async def find_base(origin: Repository, reference: str, platform: Platform) -> Base:
    """Find an image by tag or digest; of an index, the image for the platform.

    Raises `NotFound`, and `ImageUnbuildable` for what cannot be built upon.
    """
    name = _name(origin, reference)
    manifest = await origin.registry.resolve_platform(origin.name, reference, platform)
    artifact = await origin.registry.pull(origin.name, manifest.digest)
    config = await read_config(origin, config_descriptor(name, artifact))
    return read_base(name, manifest, artifact, config, platform)


class KnownBases:
    """Bases that were read before: what a digest names never changes, so only what a tag names is asked again."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, str, Platform], Base] = OrderedDict()

    async def find(self, origin: Repository, reference: str, platform: Platform) -> Base:
        """Do as `find_base`; a digest that is known is not asked for at all."""
        digest = reference
        if ":" not in reference:
            digest = (await origin.registry.resolve(origin.name, reference)).digest
        key = (origin.registry.name, origin.name, digest, platform)
        base = self._known.get(key) or await find_base(origin, digest, platform)
        self._known[key] = base
        self._known.move_to_end(key)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return attrs.evolve(base, name=_name(origin, reference))


async def bring_layers(base: Base, source: Repository, target: Repository, folder: Path) -> None:
    """Make every layer of a base present in `target`: mounted where one server holds both, else copied.

    `folder` takes one layer at a time.
    """
    present = await asyncio.gather(*(is_there(layer, source, target) for layer in base.layers))
    for layer, there in zip(base.layers, present, strict=True):
        if not there:
            await _copy(layer, source, target, folder)


async def is_there(layer: Descriptor, source: Repository, target: Repository) -> bool:
    """Say whether the target has a layer, or got it from a repository beside it."""
    if await target.registry.has_blob(target.name, layer.digest):
        return True
    if source.registry.name == target.registry.name:
        return await target.registry.mount(target.name, layer.digest, source.name)
    address = source.registry.address(source.name)
    if address and isinstance(target.registry, ServerRegistry):
        return await target.registry.mount_from(target.name, layer.digest, address)
    return False


async def fetch_blob(
    blob: Descriptor,
    source: Repository,
    file: IO[bytes],
    on_read: Callable[[int], None] = lambda _: None,
) -> None:
    """Write a blob to an open file, piece by piece; it is all there, and right, when this returns.

    `on_read` hears how many bytes were read so far.
    """
    size, waiting = 0, bytearray()
    async for chunk in source.registry.read_blob(source.name, blob.digest):
        size += len(chunk)
        _check_size(size, blob, source)
        waiting += chunk
        if len(waiting) >= _WRITTEN_BYTES:
            await asyncio.to_thread(file.write, waiting)
            waiting = bytearray()
        on_read(size)
    await asyncio.to_thread(file.write, waiting)
    file.flush()


async def _copy(blob: Descriptor, source: Repository, target: Repository, folder: Path) -> None:
    with disk_errors(folder), tempfile.NamedTemporaryFile(dir=folder) as file:
        await fetch_blob(blob, source, cast("IO[bytes]", file))
        await target.registry.push_blob(target.name, Path(file.name), blob.media_type)


async def read_config(origin: Repository, blob: Descriptor) -> bytes:
    """Read a configuration, which is small."""
    if blob.size > _LARGEST_CONFIG:
        raise _wrong_size(blob, origin)
    content = b""
    async for chunk in origin.registry.read_blob(origin.name, blob.digest):
        content += chunk
        _check_size(len(content), blob, origin)
    return content


def _name(origin: Repository, reference: str) -> str:
    return f"{origin.name}{'@' if ':' in reference else ':'}{reference}"


def _check_size(size: int, blob: Descriptor, origin: Repository) -> None:
    if size > blob.size:
        raise _wrong_size(blob, origin)


def _wrong_size(blob: Descriptor, origin: Repository) -> StoreDamaged:
    return StoreDamaged(
        f"a blob of the base image is larger than it may be ({blob.size} bytes are named)",
        place=f"{origin.registry.name}: {origin.name}@{blob.digest}",
        remedy="push the base image again",
    )
