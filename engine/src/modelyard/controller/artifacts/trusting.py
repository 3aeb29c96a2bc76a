"""Sign what is built here, and let nothing start that nobody trusted signed, where the settings say so."""

from __future__ import annotations

import asyncio
import os

import attrs

from modelyard.api import Descriptor, ImageRef, ImageSettings, Registry
from modelyard.images import Repository
from modelyard.images.attesting import read_signing_key, read_trusted_keys, sign_image, verify_image


@attrs.frozen
class Trust:
    """What the settings say of signatures. Keys are read each time: they may be replaced while the engine runs."""

    settings: ImageSettings

    async def sign(self, image: Descriptor, repository: Repository) -> None:
        """Sign an image, where there is a key to sign with."""
        if self.settings.signing_key is None:
            return
        key = await asyncio.to_thread(read_signing_key, self.settings.signing_key, os.environ)
        await sign_image(image, repository, key)

    async def verify(self, image: ImageRef, registry: Registry) -> None:
        """Raise `ImageUntrusted` for an image that no trusted key signed, where signatures are required."""
        if self.settings.verify != "required":
            return
        keys = await asyncio.to_thread(read_trusted_keys, self.settings.trusted_keys)
        found = await registry.resolve(image.repository, image.digest)
        await verify_image(found, Repository(registry, image.repository), keys)
