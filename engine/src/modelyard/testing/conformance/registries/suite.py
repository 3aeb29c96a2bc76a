"""The promise of `Registry`, whole."""

from __future__ import annotations

import asyncio

import pytest

from modelyard.api import Maturity, NotFound, Registry
from modelyard.testing.conformance.registries.artifacts import ArtifactPromises
from modelyard.testing.conformance.registries.blobs import BlobPromises
from modelyard.testing.conformance.registries.images import ImagePromises
from modelyard.testing.conformance.registries.making import ABSENT, MODELS, read
from modelyard.testing.conformance.registries.referrers import ReferrerPromises


class RegistryConformance(BlobPromises, ArtifactPromises, ImagePromises, ReferrerPromises):
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
                await read(registry, MODELS, ABSENT)

        asyncio.run(case())

    def test_a_repository_has_one_address(self, registry: Registry) -> None:
        """It is the repository's name or ends in it, or there is none."""
        address = registry.address(MODELS)
        assert address == "" or f"/{address}".endswith(f"/{MODELS}")
