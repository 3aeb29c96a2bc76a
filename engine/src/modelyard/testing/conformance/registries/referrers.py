"""The promise of `Registry` about referrers."""

from __future__ import annotations

import asyncio

import pytest

from modelyard.api import Descriptor, NotFound, Registry
from modelyard.testing.conformance.registries.making import (
    ABSENT,
    BILL_TYPE,
    COPIES,
    MANIFEST_TYPE,
    MODELS,
    NOTE_TYPE,
    make_about,
    make_artifact,
    make_image,
)


class ReferrerPromises:
    """Referrers: manifests that speak of another one, listed with it and gone with it."""

    def test_what_speaks_of_a_manifest_is_listed_with_its_kind_and_its_annotations(
        self, registry: Registry
    ) -> None:
        """Sorted by digest, and none of what speaks of another one; a kind can be picked."""

        async def case() -> None:
            image = await registry.push(MODELS, await make_image(registry), tag="image")
            other = await registry.push(MODELS, await make_artifact(registry, b"other"))
            bill = await registry.push(MODELS, await make_about(registry, image, b"bill", BILL_TYPE))
            note = await registry.push(MODELS, await make_about(registry, image, b"note", NOTE_TYPE))
            await registry.push(MODELS, await make_about(registry, other, b"elsewhere", NOTE_TYPE))
            found = await registry.referrers(MODELS, image.digest)
            assert [one.digest for one in found] == sorted([bill.digest, note.digest])
            assert {one.artifact_type for one in found} == {BILL_TYPE, NOTE_TYPE}
            assert all(one.annotations == {"author": "a test"} and one.size for one in found)
            picked = await registry.referrers(MODELS, image.digest, BILL_TYPE)
            assert [one.digest for one in picked] == [bill.digest]

        asyncio.run(case())

    def test_a_pulled_manifest_still_says_what_it_speaks_of(self, registry: Registry) -> None:
        """By its digest; that manifest itself is as it was."""

        async def case() -> None:
            image = await registry.push(MODELS, await make_image(registry), tag="image")
            about = await make_about(registry, image, b"bill", BILL_TYPE)
            pushed = await registry.push(MODELS, about)
            assert await registry.pull(MODELS, pushed.digest) == about
            assert (await registry.resolve(MODELS, "image")).digest == image.digest

        asyncio.run(case())

    def test_pushing_a_referrer_twice_lists_it_once(self, registry: Registry) -> None:
        """Content decides."""

        async def case() -> None:
            image = await registry.push(MODELS, await make_image(registry))
            for _ in range(2):
                await registry.push(MODELS, await make_about(registry, image, b"bill", BILL_TYPE))
            assert len(await registry.referrers(MODELS, image.digest)) == 1

        asyncio.run(case())

    def test_a_referrer_may_come_before_what_it_speaks_of(self, registry: Registry) -> None:
        """What nothing speaks of has none: that is no error."""
        absent = Descriptor(media_type=MANIFEST_TYPE, digest=ABSENT, size=12)

        async def case() -> None:
            assert await registry.referrers(MODELS, ABSENT) == ()
            early = await registry.push(MODELS, await make_about(registry, absent, b"early", NOTE_TYPE))
            assert [one.digest for one in await registry.referrers(MODELS, ABSENT)] == [early.digest]
            assert await registry.referrers(COPIES, ABSENT) == ()

        asyncio.run(case())

    def test_a_deleted_referrer_is_not_listed(self, registry: Registry) -> None:
        """Another one stays."""

        async def case() -> None:
            image = await registry.push(MODELS, await make_image(registry))
            gone = await registry.push(MODELS, await make_about(registry, image, b"gone", NOTE_TYPE))
            kept = await registry.push(MODELS, await make_about(registry, image, b"kept", NOTE_TYPE))
            await registry.delete(MODELS, gone.digest)
            assert [one.digest for one in await registry.referrers(MODELS, image.digest)] == [kept.digest]

        asyncio.run(case())

    def test_deleting_a_manifest_deletes_what_speaks_of_it_and_of_that(self, registry: Registry) -> None:
        """A tag that is deleted leaves all of it."""

        async def case() -> None:
            image = await registry.push(MODELS, await make_image(registry), tag="image")
            await registry.push(MODELS, await make_image(registry), tag="again")
            bill = await registry.push(MODELS, await make_about(registry, image, b"bill", BILL_TYPE))
            note = await registry.push(MODELS, await make_about(registry, bill, b"of the bill", NOTE_TYPE))
            await registry.delete(MODELS, "again")
            assert [one.digest for one in await registry.referrers(MODELS, image.digest)] == [bill.digest]
            await registry.delete(MODELS, image.digest)
            for gone in (image, bill, note):
                with pytest.raises(NotFound):
                    await registry.resolve(MODELS, gone.digest)
            assert await registry.referrers(MODELS, image.digest) == ()

        asyncio.run(case())
