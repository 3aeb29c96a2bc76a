"""The promise of `Registry` about artifacts."""

from __future__ import annotations

import asyncio

import pytest

from modelyard.api import Artifact, Descriptor, ModelyardError, NotFound, Registry
from modelyard.testing.conformance.registries.making import (
    ABSENT,
    BLOB_TYPE,
    CONTENT,
    COPIES,
    MODELS,
    make_artifact,
)


class ArtifactPromises:
    """Artifacts: pulled as they were pushed, whole or not at all, under tags of their repository."""

    def test_a_pushed_artifact_is_pulled_as_it_was(self, registry: Registry) -> None:
        """By tag and by digest."""

        async def case() -> None:
            artifact = await make_artifact(registry, CONTENT)
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

    def test_pushing_an_artifact_twice_gives_the_same_digest(self, registry: Registry) -> None:
        """Content decides, not time."""

        async def case() -> None:
            artifact = await make_artifact(registry, CONTENT)
            first = await registry.push(MODELS, artifact, tag="1")
            assert (await registry.push(MODELS, artifact, tag="2")).digest == first.digest

        asyncio.run(case())

    def test_a_tag_moves_to_what_was_pushed_last(self, registry: Registry) -> None:
        """One tag, one manifest."""

        async def case() -> None:
            await registry.push(MODELS, await make_artifact(registry, b"old"), tag="latest")
            newer = await make_artifact(registry, b"new")
            await registry.push(MODELS, newer, tag="latest")
            assert await registry.pull(MODELS, "latest") == newer

        asyncio.run(case())

    def test_repositories_do_not_share_tags(self, registry: Registry) -> None:
        """A tag belongs to its repository."""

        async def case() -> None:
            await registry.push(MODELS, await make_artifact(registry, CONTENT), tag="1")
            with pytest.raises(NotFound):
                await registry.resolve(COPIES, "1")

        asyncio.run(case())

    def test_every_tag_of_a_repository_is_listed(self, registry: Registry) -> None:
        """Sorted, and none of another repository; one that never was is not found."""

        async def case() -> None:
            artifact = await make_artifact(registry, CONTENT)
            for tag in ("b", "a"):
                await registry.push(MODELS, artifact, tag=tag)
            assert await registry.list_tags(MODELS) == ("a", "b")
            with pytest.raises(NotFound):
                await registry.list_tags("models/none")

        asyncio.run(case())

    def test_a_deleted_tag_is_not_found(self, registry: Registry) -> None:
        """Another tag stays."""

        async def case() -> None:
            artifact = await make_artifact(registry, CONTENT)
            await registry.push(MODELS, artifact, tag="1")
            await registry.push(MODELS, artifact, tag="2")
            await registry.delete(MODELS, "1")
            with pytest.raises(NotFound):
                await registry.resolve(MODELS, "1")
            assert await registry.pull(MODELS, "2") == artifact

        asyncio.run(case())
