"""What `engine images` tells: images of a registry, locks, copies, what was pruned. It crosses the API as JSON."""

from __future__ import annotations

import enum

import attrs


class ImageKind(enum.Enum):
    """What an image is for."""

    ENVIRONMENT = "environment"
    BASE = "base"
    """Another image with docker steps done to it, or conda packages laid on it."""
    SERVICE = "service"


@attrs.frozen
class ImageSummary:
    """One line of `engine images list`; empty or None is what the image does not say."""

    kind: ImageKind
    registry: str
    repository: str
    tag: str
    """Its key, or a service's revision."""
    digest: str
    platform: str
    base: str
    pythons: tuple[str, ...]
    packages: int | None
    size_bytes: int
    """Of its manifest's layers and configuration, as they are stored."""
    used_by: tuple[str, ...] = ()
    """Revisions of this engine's services, as `digits:3`; the engine's own images, as `images/engine:0.1.0`."""


@attrs.frozen
class ImageInputs:
    """What an image was asked to be."""

    platform: str
    base: str
    base_digest: str
    python: str
    requirements: tuple[str, ...]
    docker_steps: tuple[str, ...]
    conda: str = ""


@attrs.frozen
class ImageEnvironment:
    """One environment inside an image. `lock` is text that pip and uv install; empty = it is not kept.

    One of conda has no `python` of its own here, and its lock is a list of packages with their hashes.
    """

    prefix: str
    python: str
    serving: bool
    packages: int | None = None
    lock: str = ""


@attrs.frozen
class ImageLayer:
    """One layer, lowest first; `part` is what it is for."""

    part: str
    digest: str
    size_bytes: int
    media_type: str


@attrs.frozen(order=True)
class ImagePackage:
    """A package that an image's bill of materials names. `kind` is the type of its address: `pypi`, `deb`."""

    kind: str
    name: str
    version: str
    address: str
    """As `pkg:deb/debian/curl@7.88?arch=amd64`."""


@attrs.frozen
class ImageDetails:
    """The whole of `engine images show`. `address` is what other tools pull; empty = they cannot reach it."""

    summary: ImageSummary
    address: str
    key: str
    inputs: ImageInputs | None
    environments: tuple[ImageEnvironment, ...]
    layers: tuple[ImageLayer, ...]
    packages: tuple[ImagePackage, ...] = ()
    """Of its bill of materials: what it was made of, and what the package databases of its base say."""
    vulnerabilities: tuple[str, ...] = ()
    """What is known against its Python packages, one sentence each."""
    vulnerabilities_unknown: str = ""
    """Why more may be wrong than is known: no database, an old one, versions that cannot be compared."""


@attrs.frozen
class ImageOutlook:
    """Whether a deploy would find what replicas start from. `kind` is `image` or `environment`.

    `place` is the registry that has it, or `this machine`; `why` says what makes it a miss, or why it is not known.
    """

    service: str
    kind: str
    key: str
    found: bool
    place: str
    why: str


@attrs.frozen
class PackageChange:
    """A package that a refresh adds (`old` empty), removes (`new` empty) or changes."""

    environment: str
    name: str
    old: str
    new: str


@attrs.frozen
class LockedEnvironment:
    """The pins of one environment, as `numpy==2.1.0`; `python` empty = the engine's own."""

    name: str
    python: str
    packages: tuple[str, ...]


@attrs.frozen
class LockReport:
    """What a service's packages were resolved to. `stored` = it is what the next deploy takes."""

    service: str
    kind: str
    """`image` or `environment`."""
    platform: str
    lock_key: str
    isolation: str
    environments: tuple[LockedEnvironment, ...]
    changes: tuple[PackageChange, ...]
    """Against what was stored before; all are additions where nothing was."""
    was_stored: bool
    """Whether there was a lock before."""
    stored: bool
    fingerprint: str
    """Names this very result: who agreed to it asks for no other."""


@attrs.frozen
class TransferReport:
    """A copied image. `sent_bytes` is what the target lacked."""

    key: str
    digest: str
    source: str
    target: str
    total_bytes: int
    sent_bytes: int


@attrs.frozen
class Pruned:
    """One thing that prune looked at; `why` says why it goes or stays. `kind` is `image`, `lock` or `lease`."""

    kind: str
    name: str
    why: str
    age_days: float | None = None


@attrs.frozen
class PruneReport:
    """What a prune removed, or would; `freed_bytes` is of blobs that nothing else listed needs."""

    removed: tuple[Pruned, ...]
    kept: tuple[Pruned, ...]
    freed_bytes: int
    dry_run: bool
