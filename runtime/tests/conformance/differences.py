"""How found differences are held against the listed ones. Pure; the list is in `listed.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from runtime.tests.conformance.comparing import Unequal

Value = str | re.Pattern[str]
"""What a field says; a pattern where it need not be the same each time, or is too long for a list."""


def like(pattern: str) -> re.Pattern[str]:
    """Return a pattern for a whole value, of one line or several."""
    return re.compile(pattern, re.DOTALL)


def _is(value: Value, found: str) -> bool:
    return value == found if isinstance(value, str) else value.fullmatch(found) is not None


class Difference(NamedTuple):
    """A field in which we answer otherwise, in each of some cases of a group."""

    group: str
    cases: tuple[str, ...]
    field: str
    theirs: Value
    ours: Value

    def covers(self, group: str, found: Unequal) -> bool:
        """Whether this is the difference that was found."""
        return (
            (group, found.field) == (self.group, self.field)
            and found.case in self.cases
            and _says(self, found)
        )

    def due(self, group: str) -> tuple[str, ...]:
        """Return the cases of a group that must show it."""
        return self.cases if group == self.group else ()


class Everywhere(NamedTuple):
    """A field in which we may answer otherwise in any case of any group; `shown_by` is one that must show it."""

    field: str
    theirs: Value
    ours: Value
    shown_by: tuple[str, str]

    def covers(self, _group: str, found: Unequal) -> bool:
        """Whether this is the difference that was found."""
        return found.field == self.field and _says(self, found)

    def due(self, group: str) -> tuple[str, ...]:
        """Return the cases of a group that must show it."""
        return (self.shown_by[1],) if group == self.shown_by[0] else ()


Listed = Difference | Everywhere


def _says(entry: Listed, found: Unequal) -> bool:
    return _is(entry.theirs, found.theirs) and _is(entry.ours, found.ours)


def differing(
    group: str, cases: tuple[str, ...], fields: Mapping[str, tuple[Value, Value]]
) -> tuple[Difference, ...]:
    """Return the differences of cases that differ in the same fields, `{field: (theirs, ours)}`."""
    return tuple(Difference(group, cases, field, theirs, ours) for field, (theirs, ours) in fields.items())


class Topic(NamedTuple):
    """Differences that have one reason, with the sentences of the documentation."""

    title: str
    v1: str
    ours: str
    why: str
    differences: tuple[Listed, ...]


class Verdict(NamedTuple):
    """What differed and is not listed, and what is listed and did not differ (with the case)."""

    unlisted: tuple[Unequal, ...]
    stale: tuple[tuple[Listed, str], ...]


def judge(group: str, found: Iterable[Unequal], listed: Iterable[Listed]) -> Verdict:
    """Hold the differences found in one group against the list."""
    found, listed = tuple(found), tuple(listed)
    unlisted = tuple(one for one in found if not any(entry.covers(group, one) for entry in listed))
    stale = tuple(
        (entry, case)
        for entry in listed
        for case in entry.due(group)
        if not any(entry.covers(group, one) for one in found if one.case == case)
    )
    return Verdict(unlisted, stale)
