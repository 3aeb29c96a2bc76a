"""Keep an image's bill of materials beside it, as a manifest that speaks of the image."""

from __future__ import annotations

from modelyard.api import Artifact, Descriptor, StoreDamaged
from modelyard.images.images import Repository

BILL_TYPE = "application/vnd.cyclonedx+json"
MOST_BILL_BYTES = 16 * 1024 * 1024
"""Some thousand packages make a megabyte."""
MOST_BILLS = 20


async def attach_sbom(image: Descriptor, sbom: bytes, repository: Repository) -> Descriptor:
    """Push a bill as a referrer of the image in its repository; the same bill is there once, however often.

    Raises what the registry does.
    """
    layer = await repository.registry.push_blob(repository.name, sbom, BILL_TYPE)
    subject = Descriptor(image.media_type, image.digest, image.size)
    bill = Artifact(BILL_TYPE, (layer,), subject=subject)
    return await repository.registry.push(repository.name, bill)


async def read_sboms(image: Descriptor, repository: Repository) -> tuple[bytes, ...]:
    """Read an image's bills, other tools' included; empty when it has none.

    Raises `StoreDamaged` for what is no bill, or larger than any is.
    """
    found = await repository.registry.referrers(repository.name, image.digest, BILL_TYPE)
    return tuple([await _read(one, repository) for one in found[:MOST_BILLS]])


async def _read(bill: Descriptor, repository: Repository) -> bytes:
    artifact = await repository.registry.pull(repository.name, bill.digest)
    layers = [layer for layer in artifact.layers if layer.media_type == BILL_TYPE]
    if len(layers) != 1 or layers[0].size > MOST_BILL_BYTES:
        raise _damaged(bill, repository)
    content = bytearray()
    async for chunk in repository.registry.read_blob(repository.name, layers[0].digest):
        content += chunk
        if len(content) > MOST_BILL_BYTES:
            raise _damaged(bill, repository)
    return bytes(content)


def _damaged(bill: Descriptor, repository: Repository) -> StoreDamaged:
    return StoreDamaged(
        f"an image's bill of materials is none, or larger than {MOST_BILL_BYTES >> 20} MiB",
        place=f"{repository.registry.name}: {repository.name}@{bill.digest}",
        remedy="delete it there; the next build writes it anew",
    )
