"""The code of a service as a snapshot: what of its folder counts."""

from __future__ import annotations

from pathlib import Path

from modelyard.api import ServiceSpec, SnapshotError, SnapshotLimits
from modelyard.packaging import Digests, Snapshot, take_snapshot


def take_code(spec: ServiceSpec, limits: SnapshotLimits, digests: Digests) -> Snapshot:
    """List a service's code by content; raises `SnapshotError` when what it needs is left out. Blocks."""
    code = take_snapshot(Path(spec.code.source), limits, digests=digests)
    for needed in filter(None, (spec.code.entry, spec.code.sample)):
        if not code.holds(needed):
            raise SnapshotError(
                f"{needed} is left out of the snapshot",
                place=code.ignore_file or spec.code.source,
                remedy=f"take the pattern that matches {needed} out of the ignore file",
            )
    return code
