"""Find a registry by the name of its record."""

from __future__ import annotations

from modelyard.api import Registry, Unavailable
from modelyard.host import Host


def registry_named(host: Host, name: str, *, place: str) -> Registry:
    """Give a registry that an active plugin offers. Raises `Unavailable`, naming where its name was read."""
    registry = host.registries.get(name)
    if registry is None:
        there = ", ".join(sorted(host.registries)) or "none"
        raise Unavailable(
            f"no active plugin offers the registry {name!r}; there are: {there}",
            place=place,
            remedy="`engine plugins list` says what became of its plugin",
        )
    return registry
