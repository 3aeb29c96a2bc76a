"""Decide which pins are affected by which advisories, as the OSV schema says. Pure.

Versions are compared as PEP 440 has them, without their local part: `2.1.0+cpu` is the release 2.1.0.
A version that nobody can compare is left undecided, never taken for a safe one.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterable, Sequence

import attrs
from packaging.version import InvalidVersion, Version

from modelyard.environments.advisories.entries import Advisory, Affected, Event
from modelyard.environments.pins import Pin


class Verdict(enum.Enum):
    """What is known of one version."""

    AFFECTED = "affected"
    UNAFFECTED = "unaffected"
    UNDECIDED = "undecided"


@attrs.frozen
class Vulnerability:
    """One flaw of one package, whatever its names: `ids` has those of every database that has it."""

    name: str
    version: str
    ids: tuple[str, ...]
    summary: str
    severities: tuple[str, ...]
    rating: str
    fixed: tuple[str, ...]
    """The releases after this one that mend it; empty = none is known."""


@attrs.frozen
class Matches:
    """What is known of some pins. `undecided` names pins with the advisories that cannot be compared."""

    found: tuple[Vulnerability, ...] = ()
    undecided: tuple[str, ...] = ()


def match(pins: Iterable[Pin], advisories: Sequence[Advisory]) -> Matches:
    """Find what affects each pin. Advisories that were withdrawn count for nothing."""
    found: list[Vulnerability] = []
    undecided: list[str] = []
    valid = [one for one in advisories if not one.is_withdrawn]
    for pin in sorted(set(pins), key=lambda pin: (pin.name, pin.version)):
        about = [one for one in valid if any(part.name == pin.name for part in one.affected)]
        verdicts = [(one, judge(pin, one)) for one in about]
        found += _grouped(pin, [one for one, verdict in verdicts if verdict is Verdict.AFFECTED])
        doubts = sorted(one.id for one, verdict in verdicts if verdict is Verdict.UNDECIDED)
        if doubts:
            undecided.append(f"{pin.name} {pin.version or 'of no known version'}: {', '.join(doubts)}")
    return Matches(tuple(found), tuple(undecided))


def judge(pin: Pin, advisory: Advisory) -> Verdict:
    """Say whether an advisory is about this very version."""
    version = _version(pin.version)
    verdicts = {_judge_part(version, pin, part) for part in advisory.affected if part.name == pin.name}
    for verdict in (Verdict.AFFECTED, Verdict.UNDECIDED):
        if verdict in verdicts:
            return verdict
    return Verdict.UNAFFECTED


def _judge_part(version: Version | None, pin: Pin, part: Affected) -> Verdict:
    if pin.version and pin.version in part.versions:
        return Verdict.AFFECTED
    if version is None:
        return Verdict.UNDECIDED
    if any(_version(one) == version for one in part.versions):
        return Verdict.AFFECTED
    verdicts = {_judge_range(version, events) for events in part.ranges}
    for verdict in (Verdict.AFFECTED, Verdict.UNDECIDED):
        if verdict in verdicts:
            return verdict
    return Verdict.UNAFFECTED


def _judge_range(version: Version, events: Sequence[Event]) -> Verdict:
    try:
        limits = [Version(one.version) for one in events if one.kind == "limit" and one.version != "*"]
        changes = sorted(_change(one) for one in events if one.kind != "limit")
    except InvalidVersion:
        return Verdict.UNDECIDED
    if limits and len(limits) == sum(one.kind == "limit" for one in events) and version >= max(limits):
        return Verdict.UNAFFECTED
    is_affected = False
    for place, kind in changes:
        if kind == _INTRODUCED:
            is_affected = is_affected or version >= place
        else:
            is_affected = is_affected and (version < place or (kind == _LAST and version == place))
    return Verdict.AFFECTED if is_affected else Verdict.UNAFFECTED


_INTRODUCED, _FIXED, _LAST = range(3)
_KINDS = {"introduced": _INTRODUCED, "fixed": _FIXED, "last_affected": _LAST}


def _change(event: Event) -> tuple[Version, int]:
    is_first = event.kind == "introduced" and event.version == "0"
    return Version("0.dev0" if is_first else event.version), _KINDS[event.kind]


@functools.lru_cache(maxsize=1 << 16)
def _version(written: str) -> Version | None:
    try:
        return Version(Version(written).public)
    except InvalidVersion:
        return None


def _grouped(pin: Pin, advisories: Iterable[Advisory]) -> list[Vulnerability]:
    """Make one of advisories that know each other by an alias."""
    groups: list[list[Advisory]] = []
    for advisory in sorted(advisories, key=lambda one: one.id):
        joined = [group for group in groups if any(_same(advisory, one) for one in group)]
        groups = [group for group in groups if group not in joined]
        groups.append([*(one for group in joined for one in group), advisory])
    return sorted((_vulnerability(pin, group) for group in groups), key=lambda one: one.ids)


def _same(one: Advisory, other: Advisory) -> bool:
    return bool({one.id, *one.aliases} & {other.id, *other.aliases})


def _vulnerability(pin: Pin, group: Sequence[Advisory]) -> Vulnerability:
    own = [one.id for one in group]
    others = sorted({alias for one in group for alias in one.aliases} - set(own))
    return Vulnerability(
        name=pin.name,
        version=pin.version,
        ids=(*own, *others),
        summary=next((one.summary for one in group if one.summary), ""),
        severities=tuple(dict.fromkeys(text for one in group for text in one.severities)),
        rating=next((one.rating for one in group if one.rating), ""),
        fixed=_fixed(pin, group),
    )


def _fixed(pin: Pin, group: Iterable[Advisory]) -> tuple[str, ...]:
    version = _version(pin.version)
    events = (
        event
        for advisory in group
        for part in advisory.affected
        if part.name == pin.name
        for events in part.ranges
        for event in events
        if event.kind == "fixed"
    )
    places = {place for event in events if (place := _version(event.version))}
    return tuple(str(place) for place in sorted(places) if version is None or place > version)
