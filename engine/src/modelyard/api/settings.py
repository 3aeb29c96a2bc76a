"""The engine's own settings: what an operator may change in `settings.yaml`. The `spec` room reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs


@attrs.frozen
class PluginSettings:
    """Which plugins may run. `strict` turns every broken plugin into a start failure."""

    disabled: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    hook_timeout_seconds: float = 5.0
    strict: bool = False


@attrs.frozen
class SnapshotLimits:
    """What a project folder may weigh; v1's figures."""

    max_bytes: int = 300_000_000
    max_files: int = 2_000
    max_patterns: int = 1_000
    """Ignore patterns read from one file."""
    max_pattern_length: int = 1_000


@attrs.frozen
class RouterSettings:
    """Where the router listens: loopback unless asked otherwise."""

    address: str = "127.0.0.1"
    port: int = 8484


Compression = Literal["gzip", "zstd"]
"""How layers are compressed: everybody reads gzip; zstd is smaller and faster, and new to Docker 23."""


@attrs.frozen
class ImageSettings:
    """How images are made. `{python}` in `base` stands for the Python asked for, as `3.11`."""

    base: str = "python:{python}-slim-bookworm"
    """What stands below a service that names no base of its own."""
    builder: str = ""
    """The builder that is asked first; empty = whichever can."""
    compression: Compression = "gzip"
    """How environments and code are compressed; models are stored as they are."""
    shared: tuple[str, ...] = ()
    """Registries that are looked into after the workspace's own, by name; nothing is written there."""
    signing_key: Path | None = None
    """The private key that signs what is built here; None = nothing is signed."""
    verify: str = "never"
    """`required`: no replica starts from an image that none of the trusted keys signed."""
    trusted_keys: tuple[Path, ...] = ()
    """Public keys, and folders of them."""
    verify_bases: str = "never"
    """`required`: nothing is built upon an image of others that none of `base_keys` signed."""
    base_keys: tuple[Path, ...] = ()
    """Public keys of those who sign bases, and folders of them."""
    osv_database: Path | None = None
    """The folder of known vulnerabilities, `<ecosystem>/all.zip` in it; None = where osv-scanner has its own."""
    osv_max_age_days: int = 14
    """An older database says nothing of what is known today."""


@attrs.frozen
class EngineSettings:
    """Everything of `settings.yaml`, defaults filled in."""

    plugins: PluginSettings = attrs.field(factory=PluginSettings)
    snapshot: SnapshotLimits = attrs.field(factory=SnapshotLimits)
    router: RouterSettings = attrs.field(factory=RouterSettings)
    images: ImageSettings = attrs.field(factory=ImageSettings)
    registry: str = "oci-layout"
    """Name of the workspace registry's record."""
