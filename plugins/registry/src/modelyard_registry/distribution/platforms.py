"""Find the manifest for one kind of machine in an index of many.

Pure. An index is a list of manifests with the platform each was built for; attestations are listed among
them under the platform "unknown".
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs
from modelyard.api import Descriptor

from modelyard_registry.manifests import INDEX_TYPE, MANIFEST_TYPE, decode_descriptor

DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"
INDEX_TYPES = frozenset({INDEX_TYPE, DOCKER_INDEX_TYPE})
MANIFEST_TYPES = frozenset({MANIFEST_TYPE, DOCKER_MANIFEST_TYPE})
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

    @property
    def meant(self) -> Platform:
        """The same platform with its variant spelt out."""
        implied = _IMPLIED_VARIANTS.get(self.architecture, "")
        return attrs.evolve(self, variant=self.variant or implied)


def parse_platform(text: str) -> Platform:
    """Read `os/architecture` or `os/architecture/variant`; `ValueError` when it is neither."""
    os_name, separator, rest = text.partition("/")
    architecture, _, variant = rest.partition("/")
    if not (separator and os_name and architecture) or "/" in variant:
        raise ValueError(f"{text!r} is no platform, as linux/amd64 or linux/arm/v7")
    return Platform(os_name, architecture, variant)


def list_platforms(index: bytes) -> tuple[tuple[Platform, Descriptor], ...]:
    """Read an index, in its order; `ValueError` says what is wrong with it."""
    document = json.loads(index)
    if not isinstance(document, dict) or not isinstance(document.get("manifests"), list):
        raise ValueError("it has no list of manifests")  # noqa: TRY004  one kind of error for every damage
    return tuple((_platform(entry), decode_descriptor(entry)) for entry in document["manifests"])


def choose(index: bytes, wanted: Platform) -> Descriptor | None:
    """Pick the first manifest for a platform, its very variant before one that says none."""
    found = [(platform.meant, manifest) for platform, manifest in list_platforms(index)]
    for asked in (wanted.meant, attrs.evolve(wanted, variant="")):
        for platform, manifest in found:
            if platform == asked:
                return manifest
    return None


def _platform(entry: object) -> Platform:
    raw = entry.get("platform") if isinstance(entry, Mapping) else None
    named = raw if isinstance(raw, Mapping) else {}
    return Platform(*(str(named.get(key) or "") for key in ("os", "architecture", "variant")))
