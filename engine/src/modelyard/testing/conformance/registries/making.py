"""What the cases about registries are made of."""

from __future__ import annotations

import hashlib

import attrs

from modelyard.api import Artifact, Descriptor, Registry

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


async def make_artifact(registry: Registry, content: bytes) -> Artifact:
    """Push a blob, and give an artifact that has it as its layer."""
    layer = await registry.push_blob(MODELS, content, BLOB_TYPE)
    return Artifact(
        artifact_type="application/vnd.modelyard.test", layers=(layer,), annotations={"author": "a test"}
    )


async def make_about(registry: Registry, subject: Descriptor, content: bytes, kind: str) -> Artifact:
    """Give an artifact of a `kind` that speaks of another manifest."""
    about = Descriptor(subject.media_type, subject.digest, subject.size)
    return attrs.evolve(await make_artifact(registry, content), artifact_type=kind, subject=about)


async def make_image(registry: Registry) -> Artifact:
    """Push a layer and a configuration, and give the image of both."""
    layer = await registry.push_blob(MODELS, CONTENT, LAYER_TYPE)
    config = await registry.push_blob(MODELS, b'{"architecture":"amd64","os":"linux"}', CONFIG_TYPE)
    return Artifact(artifact_type=CONFIG_TYPE, layers=(layer,), config=config)


async def read(registry: Registry, repository: str, digest: str) -> bytes:
    """Read a blob whole."""
    return b"".join([chunk async for chunk in registry.read_blob(repository, digest)])
