"""Look at an image of a registry, whatever machine it was built for."""

from __future__ import annotations

import attrs

from modelyard.api import Artifact, Descriptor, Platform
from modelyard.images.bases import read_config
from modelyard.images.configs import built_for, config_descriptor, read_base
from modelyard.images.images import Base, Repository


@attrs.frozen
class Seen:
    """An image as its registry has it; `base` has its layers and its configuration."""

    manifest: Descriptor
    artifact: Artifact
    base: Base

    @property
    def platform(self) -> Platform:
        """What it was built for."""
        return built_for(self.base.config)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Its configuration and its layers."""
        return blobs_of(self.artifact)

    @property
    def size_bytes(self) -> int:
        """What they weigh as they are stored."""
        return sum(one.size for one in self.blobs)


def blobs_of(artifact: Artifact) -> tuple[Descriptor, ...]:
    """Give the blobs that must be there before the manifest, each once."""
    config = (artifact.config,) if artifact.config else ()
    return tuple({one.digest: one for one in (*config, *artifact.layers)}.values())


async def read_image(origin: Repository, reference: str) -> Seen:
    """Read an image's manifest and configuration. Raises `NotFound`, and `ImageUnbuildable` for what is none."""
    manifest = await origin.registry.resolve(origin.name, reference)
    artifact = await origin.registry.pull(origin.name, manifest.digest)
    name = f"{origin.name}{'@' if ':' in reference else ':'}{reference}"
    config = await read_config(origin, config_descriptor(name, artifact))
    return Seen(manifest, artifact, read_base(name, manifest, artifact, config, None))
