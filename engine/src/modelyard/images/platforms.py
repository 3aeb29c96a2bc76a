"""The platform that images for a machine are built for. Pure."""

from __future__ import annotations

from modelyard.api import ImageUnbuildable, Platform

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
"""Where the runtime's server exists: the words of `uname -m` and of Kubernetes, in those of images."""


def platform_of(machine: str) -> Platform:
    """Give the platform of a machine by what it calls itself (`x86_64`, `arm64`).

    The system is Linux whatever the machine itself runs: its containers do.
    Raises `ImageUnbuildable` for a machine on which no replica could run.
    """
    architecture = _ARCHITECTURES.get(machine.lower())
    if architecture is None:
        raise ImageUnbuildable(
            f"no replica runs on machines of the kind {machine!r}",
            remedy=f"deploy to nodes of one of these: {', '.join(sorted(set(_ARCHITECTURES.values())))}",
        )
    return Platform("linux", architecture)
