"""Find plugins: entry points of the group `modelyard`, in one order on every machine.

Nothing is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

import attrs

from modelyard.hookspecs import GROUP


@attrs.frozen
class Found:
    """An installed plugin that nobody has imported yet."""

    name: str
    distribution: str
    version: str
    entry_point: EntryPoint


def discover(given: Iterable[EntryPoint] | None = None) -> tuple[Found, ...]:
    """List installed plugins, or those given, by name and then by distribution."""
    points = entry_points(group=GROUP) if given is None else given
    return tuple(sorted(map(_found, points), key=lambda found: (found.name, found.distribution)))


def _found(point: EntryPoint) -> Found:
    distribution = point.dist
    return Found(
        name=point.name,
        distribution=distribution.name if distribution else "",
        version=distribution.version if distribution else "",
        entry_point=point,
    )
