"""Send a blob while its file is still written: from its first bytes on, in pieces that are there already.

Only when the file is whole its digest is known: then the registry is asked whether it has the blob, and the rest
is sent or left. What a failure spoils is sent again from the file, as any other.
"""

from __future__ import annotations

import asyncio

import attrs
from modelyard.api import Descriptor, GrowingFile

from modelyard_registry.distribution.downloads import blob_size
from modelyard_registry.distribution.session import Session
from modelyard_registry.distribution.uploads import Progress, Source, Upload, UploadLost, upload

AHEAD_BYTES = 16 * 1024 * 1024
"""Pieces of this size: a smaller file is soon whole, and storage behind registries wants some megabytes at once."""


async def upload_growing(
    session: Session, repository: str, file: GrowingFile, progress: Progress
) -> Descriptor:
    """Make the blob present by the time it is whole, or soon after."""
    ahead, is_unclear = min(AHEAD_BYTES, session.limits.chunk_bytes), False
    await file.reach(ahead)
    if not file.is_whole:
        async with session.uploads:
            one = Upload(session, repository, Source(file.path, "", 0), progress)
            try:
                return await _along(one, file, ahead)
            except UploadLost:
                is_unclear = True  # the file is there: it is sent from its beginning
            except (Exception, asyncio.CancelledError):
                await one.abandon()
                raise
    blob = await file.whole()
    if is_unclear:
        await blob_size(session, repository, blob.digest)  # perhaps the answer alone was lost
    await upload(session, repository, Source(file.path, blob.digest, blob.size), progress)
    return blob


async def _along(one: Upload, file: GrowingFile, ahead: int) -> Descriptor:
    """Send what is there, then the rest, unless it turns out that the registry has the blob."""
    await one.start()
    while not file.is_whole:
        size = await file.reach(one.at + max(ahead, one.least_bytes))
        if not file.is_whole:
            one.source = attrs.evolve(one.source, size=size)
            await one.send_piece(min(one.at + one.piece_bytes, size))
    blob = await file.whole()
    if await blob_size(one.session, one.repository, blob.digest) is not None:
        await one.abandon()
        return blob
    one.source = Source(file.path, blob.digest, blob.size)
    await one.send_rest()
    one.session.presence.saw(one.repository, blob.digest, blob.size)
    return blob
