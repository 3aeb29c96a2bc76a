"""How found differences are held against the listed ones. Pure; the list is in `listed.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from runtime.tests.conformance.comparing import Unequal

DEFAULT = "default"
STRICT = "strict-v1"
EVERYWHERE = "*"
ANY = None
"""A value that need not be the same each time, or is too long for a list."""


class Difference(NamedTuple):
    """A field in which we answer otherwise. A case or group of `EVERYWHERE` may rest; named ones must differ."""

    group: str
    cases: tuple[str, ...]
    field: str
    theirs: str | None
    ours: str | None
    modes: tuple[str, ...] = (DEFAULT,)

    def covers(self, group: str, mode: str, found: Unequal) -> bool:
        """Whether this is the difference that was found."""
        return (
            mode in self.modes
            and self.group in (EVERYWHERE, group)
            and (found.case in self.cases or EVERYWHERE in self.cases)
            and found.field == self.field
            and self.theirs in (ANY, found.theirs)
            and self.ours in (ANY, found.ours)
        )


def differing(
    group: str,
    cases: tuple[str, ...],
    fields: Mapping[str, tuple[str | None, str | None]],
    modes: tuple[str, ...] = (DEFAULT,),
) -> tuple[Difference, ...]:
    """Return the differences of cases that differ in the same fields, `{field: (theirs, ours)}`."""
    return tuple(
        Difference(group, cases, field, theirs, ours, modes) for field, (theirs, ours) in fields.items()
    )


class Topic(NamedTuple):
    """Differences that have one reason, with the sentences of the documentation."""

    title: str
    v1: str
    ours: str
    why: str
    differences: tuple[Difference, ...]


class Verdict(NamedTuple):
    """What differed and is not listed, and what is listed and did not differ (with the case)."""

    unlisted: tuple[Unequal, ...]
    stale: tuple[tuple[Difference, str], ...]


def judge(group: str, mode: str, found: Iterable[Unequal], listed: Iterable[Difference]) -> Verdict:
    """Hold the differences found in one group against the list."""
    found, listed = tuple(found), tuple(listed)
    unlisted = tuple(one for one in found if not any(entry.covers(group, mode, one) for entry in listed))
    stale = tuple(
        (entry, case)
        for entry in listed
        if entry.group == group and mode in entry.modes
        for case in entry.cases
        if not any(entry.covers(group, mode, one) for one in found if case in (EVERYWHERE, one.case))
    )
    return Verdict(unlisted, stale)
