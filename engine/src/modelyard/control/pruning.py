"""Decide what of a registry nobody needs any more. Pure.

Whatever may still be used stays: what a revision refers to, what a build takes at this moment, what stands below
something that stays, what another engine holds, and what was used not long ago.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence

import attrs

from modelyard.api import Pruned

_DAY_SECONDS = 86_400.0
Name = tuple[str, str]
"""A repository and a tag."""


class Fate(enum.Enum):
    """What is done to a thing."""

    REMOVE = "remove"
    KEEP = "keep"
    DATE = "date"
    """Kept; from now on this engine has a lease of it, and so its age is known."""
    LET_GO = "let go"
    """Kept for others; this engine gives its own lease up."""


@attrs.frozen
class Thing:
    """A tag of the workspace's registry: an image, a lock, or the lease of one that is gone."""

    kind: str
    repository: str
    tag: str
    used_by: tuple[str, ...] = ()
    """Revisions that refer to it, and builds that take it now."""
    below: frozenset[Name] = frozenset()
    """It stays as long as one of these does."""
    held_by: frozenset[str] = frozenset()
    """Other engines that have a lease of it."""
    used_at: float | None = None
    """Unix seconds of this engine's own lease; None = it has none."""

    @property
    def name(self) -> Name:
        """What it is known by."""
        return self.repository, self.tag

    @property
    def shown(self) -> str:
        """What messages call it."""
        return f"{self.repository}:{self.tag}"


@attrs.frozen
class Verdict:
    """What becomes of a thing, and why."""

    thing: Thing
    fate: Fate
    why: str
    age_days: float | None = None

    def told(self) -> Pruned:
        """Give what users see of it."""
        return Pruned(self.thing.kind, self.thing.shown, self.why, self.age_days)


def decide(things: Sequence[Thing], *, now: float, keep_seconds: float) -> tuple[Verdict, ...]:
    """Judge every thing; what stands below others is judged after those, `below` going no deeper than one step."""
    above = [_judge(one, frozenset(), now, keep_seconds) for one in things if not one.below]
    staying = frozenset(one.thing.name for one in above if one.fate is not Fate.REMOVE)
    rest = [_judge(one, staying, now, keep_seconds) for one in things if one.below]
    return (*above, *rest)


def freed_bytes(removed: Iterable[Mapping[str, int]], kept: Iterable[Mapping[str, int]]) -> int:
    """Add up the blobs (size by digest) that only removed images have."""
    gone = {digest: size for blobs in removed for digest, size in blobs.items()}
    needed = {digest for blobs in kept for digest in blobs}
    return sum(size for digest, size in gone.items() if digest not in needed)


def _judge(thing: Thing, staying: frozenset[Name], now: float, keep_seconds: float) -> Verdict:
    age = None if thing.used_at is None else max(0.0, now - thing.used_at)
    days = None if age is None else age / _DAY_SECONDS
    old = age is not None and age >= keep_seconds
    kept = Fate.DATE if age is None else Fate.KEEP
    if thing.used_by:
        return Verdict(thing, kept, f"{', '.join(thing.used_by)} use it", days)
    if needed := sorted(thing.below & staying):
        return Verdict(thing, kept, f"{needed[0][0]}:{needed[0][1]} stays", days)
    if thing.held_by:
        fate = Fate.LET_GO if old else Fate.KEEP
        return Verdict(thing, fate, f"another engine uses it: {', '.join(sorted(thing.held_by))}", days)
    if days is None:
        return Verdict(thing, Fate.DATE, "nobody knows its age: it counts from now on")
    if not old:
        return Verdict(thing, Fate.KEEP, f"it was used {days:.0f} days ago", days)
    return Verdict(thing, Fate.REMOVE, f"nothing refers to it, for {days:.0f} days", days)
