"""Registries: content-addressed stores of artifacts (OCI manifests and blobs)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import attrs

from modelyard.api.platforms import Platform
from modelyard.api.plugins import Maturity


@attrs.frozen
class Descriptor:
    """An OCI descriptor: `digest` is `sha256:<hex>`, `size` is bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    artifact_type: str = ""
    """What the manifest it names is; lists of referrers say it, most other descriptors do not."""


@attrs.frozen
class Artifact:
    """An OCI artifact manifest as values: what it is, its layers and its annotations."""

    artifact_type: str
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    config: Descriptor | None = None
    """The configuration blob of an image, whose media type is then the artifact's type; None for the rest."""
    subject: Descriptor | None = None
    """The manifest it speaks of, as a bill of materials does of its image; it need not be there."""


@runtime_checkable
class Registry(Protocol):
    """A content-addressed store. Every read checks the digest; a manifest is always written last.

    `repository` is a lower-case path (`models/digits`), `reference` a tag or a digest.
    Raises `NotFound` for what is absent and `Unavailable` when the store does not answer.
    """

    @property
    def name(self) -> str:
        """The record's name, unique among registries."""
        ...

    @property
    def maturity(self) -> Maturity:
        """How far this registry may be relied on."""
        ...

    def address(self, repository: str) -> str:
        """Say what other tools call a repository (`registry.example/team/models`); empty = they cannot reach it."""
        ...

    async def list_tags(self, repository: str) -> tuple[str, ...]:
        """Give every tag of a repository, sorted; raises `NotFound` when there is no such repository."""
        ...

    async def resolve(self, repository: str, reference: str) -> Descriptor:
        """Turn a tag or digest into the manifest's descriptor, or that of an index of several."""
        ...

    async def resolve_platform(self, repository: str, reference: str, platform: Platform) -> Descriptor:
        """Do as `resolve`, and of an index give the manifest for one kind of machine.

        A lone manifest is given whatever it was built for: its configuration says that.
        """
        ...

    async def has_blob(self, repository: str, digest: str) -> bool:
        """Say whether the blob is there, whole."""
        ...

    async def push_blob(self, repository: str, source: Path | bytes, media_type: str) -> Descriptor:
        """Store a blob (idempotent) and return its descriptor."""
        ...

    async def push(self, repository: str, artifact: Artifact, *, tag: str = "") -> Descriptor:
        """Store a manifest whose blobs are all present, read it back, then move the tag."""
        ...

    async def pull(self, repository: str, reference: str) -> Artifact:
        """Read a manifest, digest-checked."""
        ...

    def read_blob(self, repository: str, digest: str) -> AsyncIterator[bytes]:
        """Stream a blob, digest-checked; raises at the end when the bytes were wrong."""
        ...

    async def mount(self, repository: str, digest: str, source: str) -> bool:
        """Make a blob of `source` visible in `repository` without copying; False = push it."""
        ...

    async def referrers(
        self, repository: str, digest: str, artifact_type: str = ""
    ) -> tuple[Descriptor, ...]:
        """List the manifests whose subject is `digest`, by digest, each with artifact type and annotations.

        `artifact_type` picks one kind. Nothing is found, and nothing raised, where nothing refers to it.
        """
        ...

    async def delete(self, repository: str, reference: str) -> None:
        """Remove a tag; or a manifest with its tags and with whatever refers to it.

        Blobs nothing names may be collected later.
        """
        ...


@runtime_checkable
class GrowingFile(Protocol):
    """A file that is being written: it gets longer, and what it holds already stays as it is."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    @property
    def is_whole(self) -> bool:
        """Whether nothing is added any more."""
        ...

    async def reach(self, size: int) -> int:
        """Wait until it has so many bytes, or is whole; say how many it has. Raises what ended its writing."""
        ...

    async def whole(self) -> Descriptor:
        """Wait until it is whole, and describe it. Raises what ended its writing."""
        ...


@runtime_checkable
class ServerRegistry(Registry, Protocol):
    """A registry on a server, to which sending takes time: it begins early, and uses what lies beside it."""

    async def push_growing(self, repository: str, source: GrowingFile) -> Descriptor:
        """Store a blob while its file is written, and return its descriptor (idempotent).

        Raises what ended the writing; then nothing is stored.
        """
        ...

    async def mount_from(self, repository: str, digest: str, address: str) -> bool:
        """Do as `mount` with a repository of another record, named by its `address`.

        False = it is not on this server, or cannot be read by this record: push the blob.
        """
        ...
