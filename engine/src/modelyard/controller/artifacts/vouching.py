"""Who vouches for the base images of others: their signatures are checked where the settings demand it."""

from __future__ import annotations

import asyncio

import attrs

from modelyard.api import Descriptor, EnvironmentSpec, ImageSettings, ImageUntrusted, Platform
from modelyard.images import DAEMON, Base, Located, Repository
from modelyard.images.attesting import TrustedKey, read_trusted_keys, verify_image
from modelyard.images.dockerfiles import takes_from_images

_KEYS = "images.base_keys"
_REQUIRED = "signatures of bases are required (images.verify_bases)"


@attrs.frozen
class BaseTrust:
    """What the settings say of bases. Keys are read each time: they may be replaced while the engine runs."""

    settings: ImageSettings

    @property
    def is_required(self) -> bool:
        """Whether nothing is built upon an image that no key of `base_keys` signed."""
        return self.settings.verify_bases == "required"

    def refuse_unchecked(self, spec: EnvironmentSpec) -> None:
        """Raise `ImageUntrusted` for images that Docker would pick by itself, where bases must be signed."""
        if not self.is_required:
            return
        if spec.dockerfile is not None:
            raise ImageUntrusted(
                f"{_REQUIRED}, and what a Dockerfile builds upon is picked by Docker, unchecked",
                place="environment.dockerfile",
                remedy="name a signed image in environment.base and write the rest as environment.docker_steps",
            )
        if line := takes_from_images(spec.docker_steps):
            raise ImageUntrusted(
                f"{_REQUIRED}, and this step takes files from an image that Docker picks, unchecked",
                place=f"environment.docker_steps:{line}",
                remedy="take them from the code's folder, or from environment.base",
            )

    async def vouch(self, base: Base, located: Located, platform: Platform) -> str:
        """Say who signed a base, or that nobody was asked.

        A signature of the index that names it counts as well: signers sign what a tag names. Raises
        `ImageUntrusted` where a signature is required and none is by a key of `base_keys`.
        """
        shown = f"{base.name}, {base.digest[:19]}"
        if not self.is_required:
            return (
                f"{shown}: its signature is not checked (images.verify_bases is {self.settings.verify_bases})"
            )
        source = Repository(located.registry, located.repository)
        if located.registry.name == DAEMON:
            raise ImageUntrusted(
                f"{_REQUIRED}, and Docker's own store keeps none",
                place=f"environment.base: {base.name}",
                remedy="push the base to a registry of registries.toml, sign it there, and name it so",
            )
        keys = await asyncio.to_thread(read_trusted_keys, self.settings.base_keys, place=_KEYS)
        signers = await _signers(await _named(base, located, platform), source, keys)
        if not signers:
            raise ImageUntrusted(
                f"the base is not trusted: {_REQUIRED}, and none is by a key of {_KEYS}",
                place=f"environment.base: {base.name}, {base.digest} in {source.registry.name}",
                remedy=f"have it signed (`cosign sign --key ...`), name the signer's public key in {_KEYS},"
                " or take another base",
            )
        return f"{shown}: signed by {', '.join(key.name for key in signers)}"


async def _named(base: Base, located: Located, platform: Platform) -> list[Descriptor]:
    """Give what may be signed: the image itself, and the index by which it was found, if it names just that."""
    registry, repository = located.registry, located.repository
    found = [await registry.resolve(repository, base.digest)]
    top = await registry.resolve(repository, located.pointer)
    if top.digest != base.digest:
        inside = await registry.resolve_platform(repository, top.digest, platform)
        found += [top] if inside.digest == base.digest else []
    return found


async def _signers(
    images: list[Descriptor], source: Repository, keys: tuple[TrustedKey, ...]
) -> tuple[TrustedKey, ...]:
    for image in images:
        try:
            return await verify_image(image, source, keys)
        except ImageUntrusted:
            continue
    return ()
