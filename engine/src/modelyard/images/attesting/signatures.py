"""An image's signatures as they lie in a registry: one manifest under a tag, a layer for each."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator

import attrs

from modelyard.api import Artifact, Descriptor, NotFound, UserError
from modelyard.images.attesting.keys import TrustedKey
from modelyard.images.attesting.payloads import PAYLOAD_TYPE, SIGNATURE, signature_tag, speaks_of
from modelyard.images.images import Repository

MOST_SIGNATURES = 100
MOST_PAYLOAD_BYTES = 64 * 1024
_LONGEST_SIGNATURE = 1024
"""Base64 of an ECDSA signature on P-256 has at most 96 letters."""


@attrs.frozen
class Signature:
    """A payload and what was made of it by some key."""

    payload: bytes
    value: bytes

    def is_by(self, key: TrustedKey, digest: str) -> bool:
        """Say whether the key signed, and what it signed is that image; what is unsigned is never read."""
        return key.accepts(self.value, self.payload) and speaks_of(self.payload, digest)


async def find_signatures(image: Descriptor, repository: Repository) -> Artifact | None:
    """Give the manifest with an image's signatures; None = it has none."""
    tag = signature_tag(image.digest)
    try:
        found = await repository.registry.pull(repository.name, tag)
    except NotFound:
        return None
    if len(found.layers) > MOST_SIGNATURES:
        raise UserError(
            f"the image has more than {MOST_SIGNATURES} signatures",
            place=f"{repository.registry.name}: {repository.name}:{tag}",
            remedy="delete that tag, and sign the image again",
        )
    return found


async def read_signatures(found: Artifact, repository: Repository) -> AsyncIterator[Signature]:
    """Read every signature that is one; what else lies there is passed over."""
    for layer in found.layers:
        value = _value(layer.annotations.get(SIGNATURE, ""))
        if layer.media_type == PAYLOAD_TYPE and value:
            payload = await _payload(layer, repository)
            if payload is not None:
                yield Signature(payload, value)


def _value(written: str) -> bytes:
    if len(written) > _LONGEST_SIGNATURE:
        return b""
    try:
        return base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        return b""


async def _payload(layer: Descriptor, repository: Repository) -> bytes | None:
    if layer.size > MOST_PAYLOAD_BYTES:
        return None
    content = bytearray()
    async for chunk in repository.registry.read_blob(repository.name, layer.digest):
        content += chunk
        if len(content) > MOST_PAYLOAD_BYTES:
            return None
    return bytes(content)
