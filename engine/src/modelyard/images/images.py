"""An image as values: the base it stands on, what is added to it, and how it starts. Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from modelyard.api import Compression, Descriptor, ImageUnbuildable, Registry
from modelyard.images.entries import Entry

Listing = Callable[[], tuple[Entry, ...]]
"""Lists entries when they are needed; may take a while, so it is called in a thread."""
NOBODY_ID = 65532
NOBODY = f"{NOBODY_ID}:{NOBODY_ID}"
"""A user and a group that own nothing, by number: a node can tell that it is not root without a file of users."""
_USER = re.compile(r"[1-9][0-9]*(:[0-9]+)?")


@attrs.frozen
class Repository:
    """One repository of a registry."""

    registry: Registry
    name: str


@attrs.frozen
class Base:
    """An image to build upon: `name` as it was asked for, `digest` of its manifest, `config` parsed."""

    name: str
    digest: str
    layers: tuple[Descriptor, ...]
    config: Mapping[str, Any]


class Part(enum.IntEnum):
    """What a layer is for, in the order in which layers lie: the most stable lowest."""

    CONDA = 1
    ENVIRONMENT = 2
    RUNTIME = 3
    MODELS = 4
    CODE = 5
    ENGINE = 6


@attrs.frozen
class Addition:
    """One layer to add: what it is for, and its entries.

    `key` names its content (64 hex digits), so that a layer that was made before is not made again; then
    `entries` is asked only where the registry lacks it. Empty = unknown.
    """

    part: Part
    entries: tuple[Entry, ...] | Listing
    key: str = ""

    def listed(self) -> tuple[Entry, ...]:
        """Give the entries, listing them now where that was put off."""
        return self.entries() if callable(self.entries) else self.entries

    @property
    def compressed(self) -> bool:
        """Weights do not get smaller: they are stored as they are."""
        return self.part is not Part.MODELS


def _check_user(_: object, __: object, user: str) -> None:
    if not _USER.fullmatch(user):
        raise ImageUnbuildable(
            f"{user!r} is no user that a replica may run as",
            place="user",
            remedy=f"give a number other than 0, as {NOBODY}",
        )


@attrs.frozen
class Start:
    """How a container starts; an empty `entrypoint` keeps the base's. Nothing of it needs a writable root.

    `volumes` are folders that are written to, `ports` those of TCP that are listened on.
    """

    entrypoint: tuple[str, ...] = ()
    variables: Mapping[str, str] = attrs.field(factory=dict)
    folder: str = "/"
    user: str = attrs.field(default=NOBODY, validator=_check_user)
    volumes: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


def _in_order(additions: Iterable[Addition]) -> tuple[Addition, ...]:
    return tuple(sorted(additions, key=lambda addition: addition.part))


@attrs.frozen
class Image:
    """An image to assemble. `title`, `revision` (of the code; may be empty) and `labels` become its labels."""

    base: Base
    additions: tuple[Addition, ...] = attrs.field(converter=_in_order)
    title: str
    revision: str = ""
    start: Start = attrs.field(factory=Start)
    labels: Mapping[str, str] = attrs.field(factory=dict)
    compression: Compression = "gzip"
