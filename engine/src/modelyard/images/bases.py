"""Find a base image and bring its layers to where the new image lies."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from modelyard.api import Descriptor, Platform, StoreDamaged
from modelyard.images.configs import config_descriptor, read_base
from modelyard.images.images import Base, Repository
from modelyard.processes import disk_errors

_LARGEST_CONFIG = 4 * 1024 * 1024
"""Bytes; a configuration is read into memory."""


async def find_base(origin: Repository, reference: str, platform: Platform) -> Base:
    """Find an image by tag or digest; of an index, the image for the platform.

    Raises `NotFound`, and `ImageUnbuildable` for what cannot be built upon.
    """
    name = f"{origin.name}{'@' if ':' in reference else ':'}{reference}"
    manifest = await origin.registry.resolve_platform(origin.name, reference, platform)
    artifact = await origin.registry.pull(origin.name, manifest.digest)
    config = await _read(origin, config_descriptor(name, artifact))
    return read_base(name, manifest, artifact, config, platform)


async def bring_layers(base: Base, source: Repository, target: Repository, folder: Path) -> None:
    """Make every layer of a base present in `target`: mounted where one registry holds both, else copied.

    `folder` takes one layer at a time.
    """
    for layer in base.layers:
        if await target.registry.has_blob(target.name, layer.digest):
            continue
        if source.registry.name == target.registry.name and await target.registry.mount(
            target.name, layer.digest, source.name
        ):
            continue
        await _copy(layer, source, target, folder)


async def _copy(blob: Descriptor, source: Repository, target: Repository, folder: Path) -> None:
    with disk_errors(folder), tempfile.NamedTemporaryFile(dir=folder) as file:
        size = 0
        async for chunk in source.registry.read_blob(source.name, blob.digest):
            size += len(chunk)
            _check_size(size, blob, source)
            await asyncio.to_thread(file.write, chunk)
        file.flush()
        await target.registry.push_blob(target.name, Path(file.name), blob.media_type)


async def _read(origin: Repository, blob: Descriptor) -> bytes:
    if blob.size > _LARGEST_CONFIG:
        raise _wrong_size(blob, origin)
    content = b""
    async for chunk in origin.registry.read_blob(origin.name, blob.digest):
        content += chunk
        _check_size(len(content), blob, origin)
    return content


def _check_size(size: int, blob: Descriptor, origin: Repository) -> None:
    if size > blob.size:
        raise _wrong_size(blob, origin)


def _wrong_size(blob: Descriptor, origin: Repository) -> StoreDamaged:
    return StoreDamaged(
        f"a blob of the base image is larger than it may be ({blob.size} bytes are named)",
        place=f"{origin.registry.name}: {origin.name}@{blob.digest}",
        remedy="push the base image again",
    )
