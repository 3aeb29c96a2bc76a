"""What a new lock changes of an old one. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from modelyard.api import LockedEnvironment, PackageChange

_PIN = re.compile(r"(?P<name>[^=\s@;]+)\s*(?:==|@)\s*(?P<version>.+)")


def changes_of(
    old: Sequence[LockedEnvironment], new: Sequence[LockedEnvironment]
) -> tuple[PackageChange, ...]:
    """Name every package that was added, removed or changed, by environment and name."""
    before = {one.name: _versions(one.packages) for one in old}
    after = {one.name: _versions(one.packages) for one in new}
    return tuple(
        PackageChange(environment, name, was.get(name, ""), now.get(name, ""))
        for environment in sorted({*before, *after})
        for was, now in [(before.get(environment, {}), after.get(environment, {}))]
        for name in sorted({*was, *now})
        if was.get(name) != now.get(name)
    )


def _versions(pins: Iterable[str]) -> dict[str, str]:
    """Read `numpy==2.1.0`; one that is pinned twice, for two kinds of machines, has both versions."""
    found: dict[str, list[str]] = defaultdict(list)
    for pin in pins:
        match = _PIN.fullmatch(pin)
        name, version = (match["name"], match["version"]) if match else (pin, pin)
        found[name].append(version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}
