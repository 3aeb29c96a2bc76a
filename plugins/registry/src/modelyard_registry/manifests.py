"""OCI image manifests as bytes and as values.

Pure. The same artifact always gives the same bytes, hence the same digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs
from modelyard.api import Artifact, Descriptor

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY_CONFIG = b"{}"
"""The image specification's placeholder for an artifact without a configuration."""


def digest_of(content: bytes) -> str:
    """Name a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def config_of(artifact: Artifact) -> Descriptor:
    """Say which configuration blob the manifest names."""
    return artifact.config or Descriptor(EMPTY_TYPE, digest_of(EMPTY_CONFIG), len(EMPTY_CONFIG))


def blobs_of(artifact: Artifact) -> tuple[Descriptor, ...]:
    """Say which blobs must be present before the manifest: its configuration, then its layers."""
    return (config_of(artifact), *artifact.layers)


def encode(artifact: Artifact) -> bytes:
    """Write an artifact as a manifest, keys sorted and without spaces."""
    config = config_of(artifact)
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": encode_descriptor(config),
        "layers": [encode_descriptor(layer) for layer in artifact.layers],
    }
    if artifact.artifact_type != config.media_type:
        manifest["artifactType"] = artifact.artifact_type
    if artifact.subject:
        manifest["subject"] = encode_descriptor(artifact.subject)
    if artifact.annotations:
        manifest["annotations"] = dict(artifact.annotations)
    return json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()


def decode(content: bytes) -> Artifact:
    """Read a manifest; `ValueError` says what is wrong with it."""
    manifest = _mapping(json.loads(content), "the manifest")
    if not isinstance(manifest.get("layers"), list):
        raise ValueError("it has no list of layers")  # noqa: TRY004  one kind of error for every damage
    config = decode_descriptor(manifest.get("config"))
    return Artifact(
        # images without an artifact type are told by their configuration's type
        artifact_type=_text(manifest.get("artifactType") or config.media_type),
        layers=tuple(decode_descriptor(layer) for layer in manifest["layers"]),
        annotations=_annotations(manifest),
        config=None if config.media_type == EMPTY_TYPE else config,
        subject=_subject(manifest),
    )


@attrs.frozen
class Below:
    """The digests a manifest refers to: contents, and further manifests."""

    blobs: frozenset[str]
    manifests: frozenset[str]


def below(content: bytes) -> Below:
    """Say what a manifest, or an index of manifests, refers to; `ValueError` if it is neither."""
    manifest = _mapping(json.loads(content), "the manifest")
    contents = [*manifest.get("layers", ()), *([manifest["config"]] if manifest.get("config") else ())]
    return Below(
        blobs=frozenset(decode_descriptor(entry).digest for entry in contents),
        manifests=frozenset(decode_descriptor(entry).digest for entry in manifest.get("manifests", ())),
    )


@attrs.frozen
class Referral:
    """A manifest that speaks of another one: `subject` is that one's digest."""

    subject: str
    manifest: Descriptor


def read_referral(content: bytes, media_type: str) -> Referral | None:
    """Say what a manifest or index speaks of, described as lists of referrers do; None = of nothing.

    `ValueError` says what is wrong with it.
    """
    manifest = _mapping(json.loads(content), "the manifest")
    subject = _subject(manifest)
    if subject is None:
        return None
    config = _mapping(manifest.get("config") or {}, "the configuration")
    found = Descriptor(
        media_type,
        digest_of(content),
        len(content),
        _annotations(manifest),
        # images without an artifact type are told by their configuration's type
        _text(manifest.get("artifactType") or config.get("mediaType") or ""),
    )
    return Referral(subject.digest, found)


def index_entries(content: bytes) -> tuple[Mapping[str, Any], ...]:
    """Read an index's entries as they are written, each a descriptor; `ValueError` says what is wrong."""
    document = _mapping(json.loads(content), "the index")
    if not isinstance(document.get("manifests"), list):
        raise ValueError("it has no list of manifests")  # noqa: TRY004  one kind of error for every damage
    for entry in document["manifests"]:
        decode_descriptor(entry)
    return tuple(document["manifests"])


def decode_descriptor(raw: object) -> Descriptor:
    """Read a descriptor; `ValueError` says what is wrong with it."""
    entry = _mapping(raw, "a descriptor")
    try:
        return Descriptor(
            media_type=_text(entry["mediaType"]),
            digest=_text(entry["digest"]),
            size=_size(entry["size"]),
            annotations=_annotations(entry),
            artifact_type=_text(entry.get("artifactType") or ""),
        )
    except (KeyError, TypeError) as failure:
        raise ValueError(f"a descriptor is incomplete: {failure}") from failure


def encode_descriptor(descriptor: Descriptor) -> dict[str, Any]:
    """Write a descriptor."""
    entry: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.artifact_type:
        entry["artifactType"] = descriptor.artifact_type
    if descriptor.annotations:
        entry["annotations"] = dict(descriptor.annotations)
    return entry


def _subject(manifest: Mapping[str, Any]) -> Descriptor | None:
    return decode_descriptor(manifest["subject"]) if manifest.get("subject") else None


def _annotations(entry: Mapping[str, Any]) -> dict[str, str]:
    found = _mapping(entry.get("annotations") or {}, "annotations")
    return {str(key): _text(value) for key, value in found.items()}


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no mapping")  # noqa: TRY004  one kind of error for every damage
    return value


def _size(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no size")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")  # noqa: TRY004  the same
    return value
