"""The engine's own image: what is asked for, and what it became. Both cross the management API as JSON."""

from __future__ import annotations

import attrs


@attrs.frozen
class EngineImageOrder:
    """An image of the engine to build. Whatever is empty is chosen by the engine."""

    base: str = ""
    """What it stands on, as `python:3.12-slim`; empty = the default base of the settings."""
    platform: str = ""
    """As `linux/arm64`; empty = that of the engine's machine."""
    wheels: str = ""
    """A folder of wheels, absolute; empty = what is installed beside this engine."""
    registry: str = ""
    """The record of the registry that gets it; empty = the workspace's."""
    tag: str = ""
    """Empty = the version."""
    revision: str = ""
    """Which revision of the source it was built from; empty = what the installation knows of it."""
    dry_run: bool = False


@attrs.frozen
class EngineImage:
    """The engine's own image; after a dry run `digest` is empty and nothing was built."""

    registry: str
    repository: str
    tag: str
    digest: str
    address: str
    """The name by which nodes pull it, with its digest; empty = other machines cannot reach it there."""
    version: str
    revision: str
    platform: str
    base: str
    base_digest: str
    python: str
    """The Python of the base that runs it, as `3.11.9`."""
    wheels: tuple[str, ...]
    """Files of the engine and its plugins, by name."""
    left_out: tuple[str, ...]
    """Plugins that are installed here and not in it, each with why."""
    packages: int
    """How many packages those wheels need."""
    environment_key: str
    environment_found: bool
    """Whether those packages lay in an image already."""
    unchanged: bool = False
    """Whether the tag named this very image before."""
