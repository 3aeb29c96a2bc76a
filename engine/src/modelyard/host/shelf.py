"""The records on offer: found by kind and name, taken away with their plugin. A value."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from modelyard.api import NotFound
from modelyard.host.offering import Offered


@attrs.frozen(eq=False)
class Shelf:
    """What active plugins offer. `kind` is as in `offer_<kind>`."""

    offers: tuple[Offered, ...] = ()

    def of_kind(self, kind: str) -> Mapping[str, Any]:
        """Give the records of a kind by name."""
        return MappingProxyType({one.name: one.record for one in self.offers if one.kind == kind})

    def find(self, kind: str, name: str) -> Offered:
        """Find a record. Raises `NotFound`, which names those that there are."""
        for offered in self.offers:
            if (offered.kind, offered.name) == (kind, name):
                return offered
        there = ", ".join(sorted(self.of_kind(kind))) or "none"
        raise NotFound(
            f"no active plugin offers {name!r} among {kind}",
            remedy=f"there are: {there}; `engine plugins list` shows disabled and broken plugins",
        )

    def without(self, plugin: str) -> Shelf:
        """Give the shelf without anything of a plugin's."""
        return Shelf(tuple(one for one in self.offers if one.plugin != plugin))
