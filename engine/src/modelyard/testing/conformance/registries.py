"""The promise of `Registry`."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import attrs
import pytest

from modelyard.api import Artifact, Descriptor, Maturity, ModelyardError, NotFound, Platform, Registry

MODELS = "models/digits"
COPIES = "models/copy"
BLOB_TYPE = "application/octet-stream"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
BILL_TYPE = "application/vnd.cyclonedx+json"
NOTE_TYPE = "application/vnd.modelyard.note"
CONTENT = b"weights" * 40_000  # more than one chunk of any sensible size
ABSENT = f"sha256:{hashlib.sha256(b'never pushed').hexdigest()}"


class RegistryConformance:
    """Override `registry`: an empty store."""

    @pytest.fixture
    def registry(self) -> Registry:
        """Give the registry under test."""
        raise NotImplementedError

    def test_the_record_names_itself(self, registry: Registry) -> None:
        """It satisfies the Protocol with a name and a maturity."""
        assert isinstance(registry, Registry)
        assert registry.name
        assert isinstance(registry.maturity, Maturity)

    def test_a_pushed_blob_is_read_back_whole(self, registry: Registry) -> None:
        """Its descriptor has its digest and size."""

        async def case() -> None:
            pushed = await registry.push_blob(MODELS, CONTENT, BLOB_TYPE)
            assert pushed.digest == f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
            assert pushed.size == len(CONTENT)
            assert pushed.media_type == BLOB_TYPE
            assert await _read(registry, MODELS, pushed.digest) == CONTENT

        asyncio.run(case())

    def test_a_file_and_its_bytes_are_the_same_blob(self, registry: Registry, tmp_path: Path) -> None:
        """And pushing twice changes nothing."""
        file = tmp_path / "weights"
        file.write_bytes(CONTENT)

        async def case() -> None:
            pushed = await registry.push_blob(MODELS, file, BLOB_TYPE)
            assert pushed == await registry.push_blob(MODELS, CONTENT, BLOB_TYPE)
            assert await _read(registry, MODELS, pushed.digest) == CONTENT

        asyncio.run(case())

    def test_has_blob_tells_present_from_absent(self, registry: Registry) -> None:
        """Absent before the push, present after."""

        async def case() -> None:
            assert not await registry.has_blob(MODELS, ABSENT)
            pushed = await registry.push_blob(MODELS, CONTENT, BLOB_TYPE)
            assert await registry.has_blob(MODELS, pushed.digest)

        asyncio.run(case())

    def test_what_is_absent_is_not_found(self, registry: Registry) -> None:
        """Tags, manifests and blobs alike."""

        async def case() -> None:
            with pytest.raises(NotFound):
                await registry.resolve(MODELS, "nothing")
            with pytest.raises(NotFound):
                await registry.resolve(MODELS, ABSENT)
            with pytest.raises(NotFound):
                await registry.pull(MODELS, "nothing")
            with pytest.raises(NotFound):
                await _read(registry, MODELS, ABSENT)

        asyncio.run(case())

    def test_a_pushed_artifact_is_pulled_as_it_was(self, registry: Registry) -> None:
        """By tag and by digest."""

        async def case() -> None:
            artifact = await _artifact(registry, CONTENT)
            pushed = await registry.push(MODELS, artifact, tag="1")
            assert await registry.pull(MODELS, "1") == artifact
            assert await registry.pull(MODELS, pushed.digest) == artifact
            assert (await registry.resolve(MODELS, "1")).digest == pushed.digest

        asyncio.run(case())

    def test_a_manifest_whose_blob_is_missing_is_refused(self, registry: Registry) -> None:
        """And its tag does not appear."""
        layer = Descriptor(media_type=BLOB_TYPE, digest=ABSENT, size=12)
        artifact = Artifact(artifact_type="application/vnd.modelyard.test", layers=(layer,))

        async def case() -> None:
            with pytest.raises(ModelyardError):
                await registry.push(MODELS, artifact, tag="1")
            with pytest.raises(NotFound):
                await registry.resolve(MODELS, "1")

        asyncio.run(case())

    def test_an_image_is_pulled_with_its_configuration(self, registry: Registry) -> None:
        """Its artifact type is the configuration's media type, as it is for images of other tools."""

        async def case() -> None:
            image = await _image(registry)
            await registry.push(MODELS, image, tag="image")
            assert await registry.pull(MODELS, "image") == image

        asyncio.run(case())

    def test_a_lone_image_is_found_for_every_platform(self, registry: Registry) -> None:
        """By tag and by digest; what is absent is not found."""
        machine = Platform("linux", "riscv64")

        async def case() -> None:
            pushed = await registry.push(MODELS, await _image(registry), tag="image")
            for reference in ("image", pushed.digest):
                found = await registry.resolve_platform(MODELS, reference, machine)
                assert found.digest == pushed.digest
            with pytest.raises(NotFound):
                await registry.resolve_platform(MODELS, "nothing", machine)

        asyncio.run(case())

    def test_an_image_whose_configuration_is_missing_is_refused(self, registry: Registry) -> None:
        """As for any other blob, and its tag does not appear."""
        absent = Descriptor(media_type=CONFIG_TYPE, digest=ABSENT, size=12)

        async def case() -> None:
            image = attrs.evolve(await _image(registry), config=absent)
            with pytest.raises(ModelyardError):
                await registry.push(MODELS, image, tag="image")
            with pytest.raises(NotFound):
                await registry.resolve(MODELS, "image")

        asyncio.run(case())

    def test_a_tag_moves_to_what_was_pushed_last(self, registry: Registry) -> None:
        """One tag, one manifest."""

        async def case() -> None:
            await registry.push(MODELS, await _artifact(registry, b"old"), tag="latest")
            newer = await _artifact(registry, b"new")
            await registry.push(MODELS, newer, tag="latest")
            assert await registry.pull(MODELS, "latest") == newer

        asyncio.run(case())

    def test_pushing_an_artifact_twice_gives_the_same_digest(self, registry: Registry) -> None:
        """Content decides, not time."""

        async def case() -> None:
            artifact = await _artifact(registry, CONTENT)
            first = await registry.push(MODELS, artifact, tag="1")
            assert (await registry.push(MODELS, artifact, tag="2")).digest == first.digest

        asyncio.run(case())

    def test_repositories_do_not_share_tags(self, registry: Registry) -> None:
        """A tag belongs to its repository."""

        async def case() -> None:
            await registry.push(MODELS, await _artifact(registry, CONTENT), tag="1")
            with pytest.raises(NotFound):
                await registry.resolve(COPIES, "1")

        asyncio.run(case())

    def test_a_mounted_blob_can_be_read_where_it_was_mounted(self, registry: Registry) -> None:
        """True means it is there; what its source lacks gives False."""

        async def case() -> None:
            pushed = await registry.push_blob(MODELS, CONTENT, BLOB_TYPE)
            if await registry.mount(COPIES, pushed.digest, MODELS):
                assert await _read(registry, COPIES, pushed.digest) == CONTENT
            assert not await registry.mount(COPIES, ABSENT, MODELS)

        asyncio.run(case())

    def test_every_tag_of_a_repository_is_listed(self, registry: Registry) -> None:
        """Sorted, and none of another repository; one that never was is not found."""

        async def case() -> None:
            artifact = await _artifact(registry, CONTENT)
            for tag in ("b", "a"):
                await registry.push(MODELS, artifact, tag=tag)
            assert await registry.list_tags(MODELS) == ("a", "b")
            with pytest.raises(NotFound):
                await registry.list_tags("models/none")

        asyncio.run(case())

    def test_a_repository_has_one_address(self, registry: Registry) -> None:
        """It is the repository's name or ends in it, or there is none."""
        address = registry.address(MODELS)
        assert address == "" or f"/{address}".endswith(f"/{MODELS}")

    def test_what_speaks_of_a_manifest_is_listed_with_its_kind_and_its_annotations(
        self, registry: Registry
    ) -> None:
        """Sorted by digest, and none of what speaks of another one; a kind can be picked."""

        async def case() -> None:
            image = await registry.push(MODELS, await _image(registry), tag="image")
            other = await registry.push(MODELS, await _artifact(registry, b"other"))
            bill = await registry.push(MODELS, await _about(registry, image, b"bill", BILL_TYPE))
            note = await registry.push(MODELS, await _about(registry, image, b"note", NOTE_TYPE))
            await registry.push(MODELS, await _about(registry, other, b"elsewhere", NOTE_TYPE))
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
            image = await registry.push(MODELS, await _image(registry), tag="image")
            about = await _about(registry, image, b"bill", BILL_TYPE)
            pushed = await registry.push(MODELS, about)
            assert await registry.pull(MODELS, pushed.digest) == about
            assert (await registry.resolve(MODELS, "image")).digest == image.digest

        asyncio.run(case())

    def test_pushing_a_referrer_twice_lists_it_once(self, registry: Registry) -> None:
        """Content decides."""

        async def case() -> None:
            image = await registry.push(MODELS, await _image(registry))
            for _ in range(2):
                await registry.push(MODELS, await _about(registry, image, b"bill", BILL_TYPE))
            assert len(await registry.referrers(MODELS, image.digest)) == 1

        asyncio.run(case())

    def test_a_referrer_may_come_before_what_it_speaks_of(self, registry: Registry) -> None:
        """What nothing speaks of has none: that is no error."""
        absent = Descriptor(media_type=MANIFEST_TYPE, digest=ABSENT, size=12)

        async def case() -> None:
            assert await registry.referrers(MODELS, ABSENT) == ()
            early = await registry.push(MODELS, await _about(registry, absent, b"early", NOTE_TYPE))
            assert [one.digest for one in await registry.referrers(MODELS, ABSENT)] == [early.digest]
            assert await registry.referrers(COPIES, ABSENT) == ()

        asyncio.run(case())

    def test_a_deleted_referrer_is_not_listed(self, registry: Registry) -> None:
        """Another one stays."""

        async def case() -> None:
            image = await registry.push(MODELS, await _image(registry))
            gone = await registry.push(MODELS, await _about(registry, image, b"gone", NOTE_TYPE))
            kept = await registry.push(MODELS, await _about(registry, image, b"kept", NOTE_TYPE))
            await registry.delete(MODELS, gone.digest)
            assert [one.digest for one in await registry.referrers(MODELS, image.digest)] == [kept.digest]

        asyncio.run(case())

    def test_deleting_a_manifest_deletes_what_speaks_of_it_and_of_that(self, registry: Registry) -> None:
        """A tag that is deleted leaves all of it."""

        async def case() -> None:
            image = await registry.push(MODELS, await _image(registry), tag="image")
            await registry.push(MODELS, await _image(registry), tag="again")
            bill = await registry.push(MODELS, await _about(registry, image, b"bill", BILL_TYPE))
            note = await registry.push(MODELS, await _about(registry, bill, b"of the bill", NOTE_TYPE))
            await registry.delete(MODELS, "again")
            assert [one.digest for one in await registry.referrers(MODELS, image.digest)] == [bill.digest]
            await registry.delete(MODELS, image.digest)
            for gone in (image, bill, note):
                with pytest.raises(NotFound):
                    await registry.resolve(MODELS, gone.digest)
            assert await registry.referrers(MODELS, image.digest) == ()

        asyncio.run(case())

    def test_a_deleted_tag_is_not_found(self, registry: Registry) -> None:
        """Another tag stays."""

        async def case() -> None:
            artifact = await _artifact(registry, CONTENT)
            await registry.push(MODELS, artifact, tag="1")
            await registry.push(MODELS, artifact, tag="2")
            await registry.delete(MODELS, "1")
            with pytest.raises(NotFound):
                await registry.resolve(MODELS, "1")
            assert await registry.pull(MODELS, "2") == artifact

        asyncio.run(case())


async def _artifact(registry: Registry, content: bytes) -> Artifact:
    layer = await registry.push_blob(MODELS, content, BLOB_TYPE)
    return Artifact(
        artifact_type="application/vnd.modelyard.test", layers=(layer,), annotations={"author": "a test"}
    )


async def _about(registry: Registry, subject: Descriptor, content: bytes, kind: str) -> Artifact:
    about = Descriptor(subject.media_type, subject.digest, subject.size)
    return attrs.evolve(await _artifact(registry, content), artifact_type=kind, subject=about)


async def _image(registry: Registry) -> Artifact:
    layer = await registry.push_blob(MODELS, CONTENT, LAYER_TYPE)
    config = await registry.push_blob(MODELS, b'{"architecture":"amd64","os":"linux"}', CONFIG_TYPE)
    return Artifact(artifact_type=CONFIG_TYPE, layers=(layer,), config=config)


async def _read(registry: Registry, repository: str, digest: str) -> bytes:
    return b"".join([chunk async for chunk in registry.read_blob(repository, digest)])
