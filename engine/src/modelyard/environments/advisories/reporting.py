"""Say what is known of some packages: flaws, doubts, or that it is not known at all."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import attrs

from modelyard.environments.advisories.database import (
    Database,
    DatabaseDamaged,
    DatabaseMissing,
    DatabaseUnread,
)
from modelyard.environments.advisories.matching import Matches, Vulnerability, match
from modelyard.environments.pins import Pin

_REFRESH = "download it anew, for example by osv-scanner with --download-offline-databases"


@attrs.frozen
class Report:
    """What a database knows of some packages. Only `is_clean` says that nothing is known against them."""

    checked: int
    """How many packages were looked up; conda packages are in no such database and never are."""
    found: tuple[Vulnerability, ...] = ()
    undecided: tuple[str, ...] = ()
    """Packages whose version cannot be compared with what is known."""
    unknown: str = ""
    """Why the database says nothing, or nothing of today; what an old one knows is still found."""
    remedy: str = ""
    is_missing: bool = False
    """Whether there is no database at all: nobody asked for the check."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is known against the packages, by a database that knows."""
        return not (self.found or self.undecided or self.unknown)


def known_vulnerabilities(pins: Iterable[Pin], database: Database) -> Report:
    """Look packages up. Never raises for what is wrong with the database: the report says it. Blocks."""
    wanted = frozenset(pins)
    try:
        found = database.find({pin.name for pin in wanted})
    except DatabaseMissing as failure:
        remedy = f"{_REFRESH}, and name it in images.osv_database"
        return Report(len(wanted), unknown=str(failure), remedy=remedy, is_missing=True)
    except DatabaseDamaged as failure:
        return Report(len(wanted), unknown=f"the database is damaged: {failure}", remedy=_REFRESH)
    except DatabaseUnread as failure:
        return Report(len(wanted), unknown=f"the database is new: {failure}", remedy="look again")
    return _reported(wanted, match(wanted, found.advisories), database, found.as_of)


def _reported(pins: frozenset[Pin], matches: Matches, database: Database, as_of: datetime) -> Report:
    age = (datetime.fromtimestamp(database.clock(), UTC) - as_of).days
    is_stale = age > database.max_age_days
    return Report(
        checked=len(pins),
        found=matches.found,
        undecided=matches.undecided,
        unknown=f"the newest entry of the database is {age} days old" if is_stale else "",
        remedy=_REFRESH if is_stale else "",
    )
