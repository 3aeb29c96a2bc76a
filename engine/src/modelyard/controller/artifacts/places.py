"""What the places where replicas could run demand of an image. Pure."""

from __future__ import annotations

import platform as machine

from modelyard.api import READABLE_LAYERS, Candidate, Compression, ImageUnbuildable, Platform, UserError
from modelyard.images import Base, platform_of

ARCHITECTURE = "kubernetes.io/arch"
"""The label by which a place says what its machine is; without it, it is this one."""
_ZSTD = "zstd"


def platform_for(places: tuple[Candidate, ...]) -> Platform:
    """Give the platform of the places where replicas could run, the first that says what it is."""
    said = [one.labels[ARCHITECTURE] for one in places if ARCHITECTURE in one.labels]
    return platform_of(said[0] if said else machine.machine())


def read_platform(text: str, *, runs: str) -> Platform:
    """Read a platform as people write it; `runs` says what would be on it, and how. Raises `UserError`."""
    try:
        platform = Platform.parse(text)
    except ValueError as error:
        raise UserError(str(error), place="--platform", remedy="write linux/amd64 or linux/arm64") from error
    if platform.os != "linux":
        raise UserError(f"{runs} linux, not {runs.rsplit(maxsplit=1)[-1]} {platform.os}", place="--platform")
    return platform_of(platform.architecture)


def check_compression(places: tuple[Candidate, ...], compression: Compression) -> None:
    """Raise `ImageUnbuildable` where what is built would be in a compression that no place can read."""
    if compression == _ZSTD and not _any_reads_zstd(places):
        raise ImageUnbuildable(
            f"images would have layers in zstd, which cannot be read where replicas run ({_shown(places)})",
            place="settings.yaml: images.compression",
            remedy="update Docker to 23 or newer, or choose `gzip`",
        )


def check_layers(places: tuple[Candidate, ...], base: Base) -> None:
    """Raise `ImageUnbuildable` where an image has layers that no place can read."""
    if any(_ZSTD in one.media_type for one in base.layers) and not _any_reads_zstd(places):
        raise ImageUnbuildable(
            f"the base has layers in zstd, which cannot be read where replicas run ({_shown(places)})",
            place=f"environment.base: {base.name}",
            remedy="update Docker to 23 or newer, or name a base with layers in gzip",
        )


def _any_reads_zstd(places: tuple[Candidate, ...]) -> bool:
    return not places or any(_ZSTD in one.labels.get(READABLE_LAYERS, _ZSTD).split() for one in places)


def _shown(places: tuple[Candidate, ...]) -> str:
    return "; ".join(f"{one.node} reads {one.labels[READABLE_LAYERS]}" for one in places)
