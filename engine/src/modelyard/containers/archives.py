"""An image as the tar that `docker load` reads, written as a stream: memory does not grow with a layer."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

import attrs

from modelyard.api import StoreDamaged

Read = Callable[[str], AsyncIterator[bytes]]
"""Streams the blob of a digest; raises at the end when the bytes were wrong."""


@attrs.frozen
class Layer:
    """One layer: its blob as it is stored, and `diff_id`, the digest of the tar within."""

    digest: str
    size: int
    diff_id: str


@attrs.frozen
class Archive:
    """An image to load, under one tag."""

    config: bytes
    layers: tuple[Layer, ...]
    tag: str

    @property
    def chain(self) -> tuple[str, ...]:
        """Its layers by what they hold, lowest first."""
        return tuple(layer.diff_id for layer in self.layers)


async def open_archive(archive: Archive, read: Read, *, present: int = 0) -> AsyncGenerator[bytes]:
    """Yield the tar; the lowest `present` layers are named and left out, for the daemon has them."""
    config = f"{hashlib.sha256(archive.config).hexdigest()}.json"
    listed = {"Config": config, "RepoTags": [archive.tag], "Layers": [_file(one) for one in archive.layers]}
    for name, content in ((config, archive.config), ("manifest.json", json.dumps([listed]).encode())):
        yield _header(name, len(content)) + content + _padding(len(content))
    for layer in _sent(archive.layers[present:]):
        yield _header(_file(layer), layer.size)
        async for chunk in _checked(layer, read):
            yield chunk
        yield _padding(layer.size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def shared_layers(chain: Sequence[str], known: Sequence[Sequence[str]]) -> int:
    """Count the lowest layers that one of the known chains begins with too."""
    return max((_common(chain, one) for one in known), default=0)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _sent(layers: Sequence[Layer]) -> list[Layer]:
    """List each blob once: a layer that lies in an image twice is one file."""
    return list({layer.digest: layer for layer in layers}.values())


async def _checked(layer: Layer, read: Read) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in read(layer.digest):
        size += len(chunk)
        if size > layer.size:
            break
        yield chunk
    if size != layer.size:
        raise StoreDamaged(
            f"the layer {layer.digest} has not the {layer.size} bytes that its manifest names",
            place=layer.digest,
            remedy="push the image again",
        )


def _file(layer: Layer) -> str:
    return f"{layer.digest.removeprefix('sha256:')}.tar"


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(format=tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
