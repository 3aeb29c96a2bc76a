"""Bills beside their images: pushed once, found by the image, bounded when they are read."""

from __future__ import annotations

import asyncio

import pytest
from modelyard.api import Artifact, Descriptor, StoreDamaged
from modelyard.images import Repository
from modelyard.images.attesting import BILL_TYPE, attach_sbom, attaching, read_sboms
from modelyard.testing import InMemoryRegistry

from engine.tests.images.making import BASES, put_base

BILL = b'{"bomFormat":"CycloneDX"}'


async def image_in(repository: Repository) -> Descriptor:
    return await put_base(repository.registry, tag="3")


def test_a_bill_is_found_by_its_image_and_is_there_once():
    repository = Repository(InMemoryRegistry(), BASES)

    async def case() -> None:
        image = await image_in(repository)
        first = await attach_sbom(image, BILL, repository)
        assert await attach_sbom(image, BILL, repository) == first
        assert await read_sboms(image, repository) == (BILL,)
        (found,) = await repository.registry.referrers(BASES, image.digest)
        assert (found.digest, found.artifact_type) == (first.digest, "application/vnd.cyclonedx+json")

    asyncio.run(case())


def test_an_image_without_a_bill_has_none():
    repository = Repository(InMemoryRegistry(), BASES)

    async def case() -> None:
        assert await read_sboms(await image_in(repository), repository) == ()

    asyncio.run(case())


@pytest.mark.parametrize("says", ["the truth", "a small size"])
def test_a_bill_larger_than_any_is_damage(monkeypatch: pytest.MonkeyPatch, says: str):
    monkeypatch.setattr(attaching, "MOST_BILL_BYTES", 10)
    repository = Repository(InMemoryRegistry(), BASES)

    async def case() -> None:
        image = await image_in(repository)
        blob = await repository.registry.push_blob(BASES, BILL, BILL_TYPE)
        layer = Descriptor(BILL_TYPE, blob.digest, blob.size if says == "the truth" else 1)
        await repository.registry.push(BASES, Artifact(BILL_TYPE, (layer,), subject=image))
        with pytest.raises(StoreDamaged, match="bill of materials"):
            await read_sboms(image, repository)

    asyncio.run(case())
