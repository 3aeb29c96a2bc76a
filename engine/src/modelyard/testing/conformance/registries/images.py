"""The promise of `Registry` about images of containers."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from modelyard.api import Descriptor, ModelyardError, NotFound, Platform, Registry
from modelyard.testing.conformance.registries.making import ABSENT, CONFIG_TYPE, MODELS, make_image


class ImagePromises:
    """Images of containers: artifacts with a configuration, for one platform."""

    def test_an_image_is_pulled_with_its_configuration(self, registry: Registry) -> None:
        """Its artifact type is the configuration's media type, as it is for images of other tools."""

        async def case() -> None:
            image = await make_image(registry)
            await registry.push(MODELS, image, tag="image")
            assert await registry.pull(MODELS, "image") == image

        asyncio.run(case())

    def test_a_lone_image_is_found_for_every_platform(self, registry: Registry) -> None:
        """By tag and by digest; what is absent is not found."""
        machine = Platform("linux", "riscv64")

        async def case() -> None:
            pushed = await registry.push(MODELS, await make_image(registry), tag="image")
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
            image = attrs.evolve(await make_image(registry), config=absent)
            with pytest.raises(ModelyardError):
                await registry.push(MODELS, image, tag="image")
            with pytest.raises(NotFound):
                await registry.resolve(MODELS, "image")

        asyncio.run(case())
