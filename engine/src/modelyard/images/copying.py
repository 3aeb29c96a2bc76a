"""Copy an image from one registry to another: blobs first, the manifest, and last its tag.

Whoever is stopped in between leaves nothing that a tag names; the next copy sends only what is missing.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, cast

import attrs

from modelyard.api import Descriptor, ImageUnbuildable
from modelyard.images.bases import fetch_blob, is_there
from modelyard.images.images import Repository
from modelyard.images.reading import blobs_of
from modelyard.processes import disk_errors


@attrs.frozen
class Moved:
    """How far a copy is, in bytes: all the image weighs, what is there, and what of it had to be sent."""

    total_bytes: int
    there_bytes: int = 0
    sent_bytes: int = 0
    read_bytes: int = 0
    """Of the blob that is under way."""

    @property
    def done_bytes(self) -> int:
        """What progress shows: a blob that is read and not stored yet is half done."""
        return self.there_bytes + self.read_bytes // 2


async def copy_image(
    digest: str,
    source: Repository,
    *,
    target: Repository,
    tag: str,
    folder: Path,
    on_moved: Callable[[Moved], None],
) -> tuple[Descriptor, Moved]:
    """Make an image of `source` (its manifest's digest) that of a tag of `target`, byte for byte.

    `folder` takes one blob at a time. Raises `ImageUnbuildable` where the target would name it otherwise: some
    other tool wrote its manifest in another way.
    """
    artifact = await source.registry.pull(source.name, digest)
    blobs = blobs_of(artifact)
    moved = Moved(total_bytes=sum(one.size for one in blobs))
    present = await asyncio.gather(*(is_there(blob, source, target) for blob in blobs))
    moved = attrs.evolve(
        moved, there_bytes=sum(b.size for b, is_in in zip(blobs, present, strict=True) if is_in)
    )
    on_moved(moved)
    for blob in (one for one, is_in in zip(blobs, present, strict=True) if not is_in):
        await _send(blob, source, target, folder, partial(_tell_read, on_moved, moved))
        moved = attrs.evolve(
            moved, there_bytes=moved.there_bytes + blob.size, sent_bytes=moved.sent_bytes + blob.size
        )
        on_moved(moved)
    stored = await target.registry.push(target.name, artifact)
    if stored.digest != digest:
        raise ImageUnbuildable(
            f"the copy would be {stored.digest}, not {digest}: another tool wrote its manifest",
            place=f"{source.registry.name}: {source.name}",
            remedy="copy it with that tool, or let the engine build it",
        )
    return await target.registry.push(target.name, artifact, tag=tag), moved


def _tell_read(on_moved: Callable[[Moved], None], moved: Moved, read_bytes: int) -> None:
    on_moved(attrs.evolve(moved, read_bytes=read_bytes))


async def _send(
    blob: Descriptor,
    source: Repository,
    target: Repository,
    folder: Path,
    on_read: Callable[[int], None],
) -> None:
    with disk_errors(folder), tempfile.NamedTemporaryFile(dir=folder) as file:
        await fetch_blob(blob, source, cast("IO[bytes]", file), on_read)
        await target.registry.push_blob(target.name, Path(file.name), blob.media_type)
