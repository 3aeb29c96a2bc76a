"""OSV entries as values: what a database says of a vulnerability. Pure.

Of an entry only what is used is read; fields that are unknown do not matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
from packaging.utils import canonicalize_name

ECOSYSTEM = "PyPI"
_LONGEST_WORDS = 200
_EVENTS = ("introduced", "fixed", "last_affected", "limit")


@attrs.frozen
class Event:
    """Where a range of versions changes: `kind` is introduced, fixed, last_affected or limit."""

    kind: str
    version: str


@attrs.frozen
class Affected:
    """One package of an entry: the ranges of its versions that are affected, and single ones."""

    name: str
    ranges: tuple[tuple[Event, ...], ...]
    versions: tuple[str, ...]


@attrs.frozen
class Advisory:
    """One entry. `severities` are CVSS vectors as they are written, `rating` the database's own word."""

    id: str
    aliases: tuple[str, ...]
    modified: datetime
    is_withdrawn: bool
    summary: str
    severities: tuple[str, ...]
    rating: str
    affected: tuple[Affected, ...]


def read_advisory(content: bytes) -> Advisory:
    """Read an entry; `ValueError` says what is wrong with it."""
    try:
        entry = json.loads(content)
        return _advisory(entry)
    except (KeyError, TypeError, AttributeError, RecursionError) as failure:
        raise ValueError(f"it is no OSV entry: {failure!r}"[:_LONGEST_WORDS]) from failure


def _advisory(entry: Mapping[str, Any]) -> Advisory:
    packages = [one for one in entry.get("affected") or () if _is_ours(one)]
    severities = [*(entry.get("severity") or ()), *(s for p in packages for s in p.get("severity") or ())]
    return Advisory(
        id=_words(entry["id"]),
        aliases=tuple(_words(one) for one in entry.get("aliases") or ()),
        modified=_time(entry["modified"]),
        is_withdrawn=bool(entry.get("withdrawn")),
        summary=_words(entry.get("summary") or entry.get("details") or ""),
        severities=tuple(dict.fromkeys(_words(one["score"]) for one in severities)),
        rating=_rating([entry, *packages]),
        affected=tuple(map(_affected, packages)),
    )


def _is_ours(affected: Mapping[str, Any]) -> bool:
    package = affected.get("package") or {}
    # what follows a colon names a part of an ecosystem
    return str(package.get("ecosystem", "")).partition(":")[0] == ECOSYSTEM


def _affected(raw: Mapping[str, Any]) -> Affected:
    return Affected(
        name=canonicalize_name(_words(raw["package"]["name"])),
        # ranges of commits say nothing of a version that was released
        ranges=tuple(_events(one["events"]) for one in raw.get("ranges") or () if one["type"] == "ECOSYSTEM"),
        versions=tuple(str(one) for one in raw.get("versions") or ()),
    )


def _events(raw: Iterable[Mapping[str, Any]]) -> tuple[Event, ...]:
    return tuple(Event(kind, str(one[kind])) for one in raw for kind in _EVENTS if kind in one)


def _rating(parts: Iterable[Mapping[str, Any]]) -> str:
    own = (part.get("database_specific") or {} for part in parts)
    return next((_words(one["severity"]) for one in own if isinstance(one.get("severity"), str)), "")


def _time(written: str) -> datetime:
    found = datetime.fromisoformat(written)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _words(value: object) -> str:
    text = " ".join(str(value)[: 4 * _LONGEST_WORDS].split())
    return "".join(letter for letter in text if letter.isprintable())[:_LONGEST_WORDS]
