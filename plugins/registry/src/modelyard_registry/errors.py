"""What can be wrong with what a registry keeps, and with a folder, said so that a person can mend it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.api import ModelyardError, NotFound, StoreDamaged, Unavailable, UserError


def absent(what: str, root: Path) -> NotFound:
    """Say that the store does not have it."""
    return NotFound(
        f"the registry has no {what}",
        place=str(root),
        remedy="deploy or push it first, or mend the reference",
    )


def unreadable(place: str, why: Exception) -> StoreDamaged:
    """Say that a manifest or an index is none, or not the one that was promised."""
    return StoreDamaged(
        f"what the registry keeps is damaged: {why}",
        place=place,
        remedy="delete it there and push it again",
    )


def unreadable_source(source: Path) -> UserError:
    """Say that what was to be pushed cannot be read."""
    return UserError(
        "the file to store cannot be read", place=str(source), remedy="look at its path and its mode"
    )


def damaged_blob(path: Path, why: str) -> StoreDamaged:
    """Say that a blob is not what its name promises."""
    return StoreDamaged(
        f"a blob of the registry is damaged: {why}",
        place=str(path),
        remedy="remove this file and deploy again: the next push stores it anew",
    )


def damaged_layout(path: Path, why: str) -> StoreDamaged:
    """Say that the layout's own files cannot be read."""
    return StoreDamaged(
        f"the registry's folder is damaged: {why}",
        place=str(path),
        remedy=f"restore this file, or move {path.parent} away and deploy again: a new one is filled",
    )


@contextmanager
def told_plainly(place: Path) -> Iterator[None]:
    """Turn what the operating system says into an error with place and remedy."""
    try:
        yield
    except OSError as failure:
        raise _translate(failure, place) from failure


def _translate(failure: OSError, place: Path) -> ModelyardError:
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable(
            "the disk of the registry is full", place=str(place), remedy="free space there and try again"
        )
    return Unavailable(
        f"the registry's folder does not answer: {failure.strerror or failure}",
        place=str(failure.filename or place),
        remedy="mend the folder's owner, mode or disk, or set MODELYARD_REGISTRY_ROOT to another one",
    )
