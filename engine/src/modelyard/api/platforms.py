"""Platforms: the kinds of machine that an image was built for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self, TypeVar

import attrs

T = TypeVar("T")
_IMPLIED_VARIANTS = {"arm64": "v8", "arm": "v7"}
"""What an image or a machine means that names no variant."""


@attrs.frozen
class Platform:
    """A kind of machine, in the words of images: `linux/arm64/v8`."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `os/architecture` or `os/architecture/variant`; `ValueError` when it is neither."""
        os_name, separator, rest = text.partition("/")
        architecture, _, variant = rest.partition("/")
        if not (separator and os_name and architecture) or "/" in variant:
            raise ValueError(f"{text!r} is no platform, as linux/amd64 or linux/arm/v7")
        return cls(os_name, architecture, variant)

    @property
    def meant(self) -> Platform:
        """The same platform with its variant spelt out."""
        implied = _IMPLIED_VARIANTS.get(self.architecture, "")
        return attrs.evolve(self, variant=self.variant or implied)

    def choose(self, offered: Iterable[tuple[Platform, T]]) -> T | None:
        """Pick the first that runs here, its very variant before one that says none; None = nothing does."""
        found = [(platform.meant, thing) for platform, thing in offered]
        for asked in (self.meant, attrs.evolve(self, variant="")):
            for platform, thing in found:
                if platform == asked:
                    return thing
        return None
