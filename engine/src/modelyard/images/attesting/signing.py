"""Sign an image, as cosign 2 does with a key: anybody who has the public one can tell who built it."""

from __future__ import annotations

import asyncio
import base64
import json
import random

import attrs

from modelyard.api import Artifact, Descriptor, Unavailable
from modelyard.images.attesting.keys import SigningKey
from modelyard.images.attesting.payloads import PAYLOAD_TYPE, SIGNATURE, signature_tag, write_payload
from modelyard.images.attesting.signatures import find_signatures, read_signatures
from modelyard.images.configs import CONFIG_TYPE
from modelyard.images.images import Repository

SETTLING_SECONDS = 0.1
"""Longer than another signer takes from reading the manifest of signatures to writing it."""
_WRITES = 10


async def sign_image(image: Descriptor, repository: Repository, key: SigningKey) -> Descriptor:
    """Add the key's signature to those of an image, and return the manifest that has them all.

    An image that the key has signed is left alone. Raises what the registry does.
    """
    tag = signature_tag(image.digest)
    layer = None
    for _ in range(_WRITES):
        found = await find_signatures(image, repository)
        if found and await _has_signed(key, found, image, repository):
            return await repository.registry.resolve(repository.name, tag)
        layer = layer or await _push_signature(image, repository, key)
        await _push(found, layer, repository, tag)
        # nothing holds a second signer off: what was written is looked at again
        await asyncio.sleep(SETTLING_SECONDS * (1 + random.random()))  # noqa: S311  no secret, a pause
    raise Unavailable(
        "others write the image's signatures all the time",
        place=f"{repository.registry.name}: {repository.name}:{tag}",
        remedy="try again later",
    )


async def _has_signed(key: SigningKey, found: Artifact, image: Descriptor, repository: Repository) -> bool:
    async for signature in read_signatures(found, repository):
        if signature.is_by(key.public, image.digest):
            return True
    return False


async def _push_signature(image: Descriptor, repository: Repository, key: SigningKey) -> Descriptor:
    reference = repository.registry.address(repository.name) or repository.name
    payload = write_payload(reference, image.digest)
    layer = await repository.registry.push_blob(repository.name, payload, PAYLOAD_TYPE)
    signature = base64.b64encode(key.sign(payload)).decode()
    return attrs.evolve(layer, annotations={SIGNATURE: signature})


async def _push(found: Artifact | None, layer: Descriptor, repository: Repository, tag: str) -> None:
    layers = (*(found.layers if found else ()), layer)
    config = await repository.registry.push_blob(repository.name, _config(layers), CONFIG_TYPE)
    others = found.annotations if found else {}
    await repository.registry.push(
        repository.name, Artifact(CONFIG_TYPE, layers, others, config=config), tag=tag
    )


def _config(layers: tuple[Descriptor, ...]) -> bytes:
    """Write what makes this an image for tools that read nothing else; the layers are what they are."""
    document = {
        "architecture": "",
        "config": {},
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
