"""Remove blobs that no manifest names, once they are old enough that nobody is about to name them.

Runs under the layout's lock. Whatever it cannot read makes it keep everything: a doubt costs only disk.
"""

from __future__ import annotations

from contextlib import suppress

from modelyard_registry.layout.folder import Layout
from modelyard_registry.layout.index import Index
from modelyard_registry.manifests import below


def collect(layout: Layout, index: Index, *, grace_seconds: float) -> None:
    """Remove what `index` does not reach, and what a killed writer left half-written."""
    try:
        kept = _reachable(layout, index)
    except (OSError, ValueError):
        return
    youngest_removed = layout.clock() - grace_seconds
    for file in layout.blobs.iterdir():
        # a writer of a blob holds no lock: its file may be renamed under us
        with suppress(FileNotFoundError):
            if f"sha256:{file.name}" not in kept and file.stat().st_mtime < youngest_removed:
                file.unlink()


def _reachable(layout: Layout, index: Index) -> frozenset[str]:
    manifests: set[str] = set()
    blobs: set[str] = set()
    waiting = set(index.roots)
    while waiting:
        digest = waiting.pop()
        manifests.add(digest)
        found = below(layout.blob(digest).read_bytes())
        blobs |= found.blobs
        waiting |= found.manifests - manifests
    return frozenset(manifests | blobs)
