"""Say who signed an image, of those who are trusted; or that nobody did."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.api import Descriptor, ImageUntrusted
from modelyard.images.attesting.keys import TrustedKey
from modelyard.images.attesting.payloads import signature_tag
from modelyard.images.attesting.signatures import find_signatures, read_signatures
from modelyard.images.images import Repository


async def verify_image(
    image: Descriptor, repository: Repository, keys: Sequence[TrustedKey]
) -> tuple[TrustedKey, ...]:
    """Return the trusted keys that signed an image, at least one; nothing but the registry is asked.

    Raises `ImageUntrusted` where none of them did, and what the registry does where it cannot be told.
    """
    found = await find_signatures(image, repository)
    if found is None:
        raise _untrusted("nobody signed the image", image, repository)
    signers, seen = set[TrustedKey](), 0
    async for signature in read_signatures(found, repository):
        seen += 1
        signers |= {key for key in keys if signature.is_by(key, image.digest)}
    if not signers:
        raise _untrusted(f"none of its {seen} signatures is by a key that is trusted", image, repository)
    return tuple(key for key in keys if key in signers)


def _untrusted(why: str, image: Descriptor, repository: Repository) -> ImageUntrusted:
    return ImageUntrusted(
        f"the image is not trusted: {why}",
        place=f"{repository.registry.name}: {repository.name}@{image.digest},"
        f" signatures under {signature_tag(image.digest)}",
        remedy="sign it, or name the public key of whoever did in images.trusted_keys",
    )
