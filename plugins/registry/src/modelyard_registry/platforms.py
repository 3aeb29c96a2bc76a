"""Find the manifest for one kind of machine in an index of many.

Pure. An index is a list of manifests with the platform each was built for; attestations are listed among
them under the platform "unknown".
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from modelyard.api import Descriptor, NotFound, Platform

from modelyard_registry.errors import unreadable
from modelyard_registry.manifests import INDEX_TYPE, MANIFEST_TYPE, decode_descriptor

DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"
INDEX_TYPES = frozenset({INDEX_TYPE, DOCKER_INDEX_TYPE})
MANIFEST_TYPES = frozenset({MANIFEST_TYPE, DOCKER_MANIFEST_TYPE})


def choose(index: bytes, wanted: Platform, place: str) -> Descriptor:
    """Give the manifest for a platform; `place` says in errors where the index is.

    Raises `NotFound`, naming what there is, and `StoreDamaged` when it is no index.
    """
    offered = list_platforms(index, place)
    chosen = wanted.choose(offered)
    if chosen is None:
        built = ", ".join(str(one) for one, _ in offered if one.os)
        raise NotFound(
            f"the image was not built for {wanted}",
            place=place,
            remedy=f"it was built for: {built or 'nothing'}",
        )
    return chosen


def list_platforms(index: bytes, place: str) -> tuple[tuple[Platform, Descriptor], ...]:
    """Read an index, in its order. Raises `StoreDamaged` when it is none."""
    try:
        return _read(index)
    except (ValueError, RecursionError) as failure:
        raise unreadable(place, failure) from failure


def _read(index: bytes) -> tuple[tuple[Platform, Descriptor], ...]:
    document = json.loads(index)
    if not isinstance(document, dict) or not isinstance(document.get("manifests"), list):
        raise ValueError("it has no list of manifests")  # noqa: TRY004  one kind of error for every damage
    return tuple((_platform(entry), decode_descriptor(entry)) for entry in document["manifests"])


def _platform(entry: object) -> Platform:
    raw = entry.get("platform") if isinstance(entry, Mapping) else None
    named = raw if isinstance(raw, Mapping) else {}
    return Platform(*(str(named.get(key) or "") for key in ("os", "architecture", "variant")))
