"""What a layer holds, as values, and which of it may lie in an image. Pure.

A place is a path in the image without the leading slash (`opt/env/bin/python`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from modelyard.api import ImageUnbuildable

_WHITEOUT = ".wh."
"""Image tools read a name with this prefix as "remove what lies below", in layers and in nothing else."""
_MAX_LINKS = 40  # the kernel's own bound


@attrs.frozen
class Folder:
    """A folder; one with an `owner`, by number, is theirs alone."""

    place: str
    owner: int = 0


@attrs.frozen
class File:
    """A regular file: its bytes are at `source`; `identity` (device, inode) and `size` tell it from a later one."""

    place: str
    source: Path
    size: int
    executable: bool
    identity: tuple[int, int]


@attrs.frozen
class Link:
    """A symbolic link with the text it holds."""

    place: str
    target: str


Entry = Folder | File | Link


def check_place(place: str) -> None:
    """Refuse what is no plain path below the image's root. Raises `ImageUnbuildable`."""
    parts = place.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise refused("is no path below the image's root", place, "write it as opt/model, without . and ..")
    if "\0" in place or not _is_utf8(place):
        raise refused("the name is not UTF-8", place, "rename or remove the file")
    if any(part.startswith(_WHITEOUT) for part in parts):
        raise refused(f"names in images may not begin with {_WHITEOUT}", place, "rename or remove the file")


def complete(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Check every place, add the folders above, and sort: a folder comes before what it holds.

    The folders above are written with our modes, for some tools would make them with none; so nothing should
    be placed below a folder of the base's whose mode matters, as `tmp`.
    Raises `ImageUnbuildable` when two things claim one place, or something lies below what is no folder.
    """
    found: dict[str, Entry] = {}
    for entry in entries:
        check_place(entry.place)
        if found.setdefault(entry.place, entry) != entry:
            raise refused("two things claim this place", entry.place, "give each a place of its own")
    for folder in {above for place in found for above in _above(place)}:
        if not isinstance(found.setdefault(folder, Folder(folder)), Folder):
            raise refused("something lies below it and it is no folder", folder, "move one of them")
    return tuple(sorted(found.values(), key=lambda entry: entry.place.encode()))


def check_links(entries: Iterable[Entry], root: str, of_base: frozenset[str] = frozenset()) -> None:
    """Refuse links that do not lead to another entry below `root`, step by step, or to a file `of_base`.

    Raises `ImageUnbuildable`.
    """
    known = {entry.place: entry for entry in entries}
    # a link to a file of the base ends there, as a file would
    leading = {place: e for place, e in known.items() if isinstance(e, Link) and e.target not in of_base}
    for link in leading.values():
        _follow(link, known, leading, root.split("/"))


def refused(message: str, place: str, remedy: str) -> ImageUnbuildable:
    """Say what may not lie in an image; `place` is printable whatever the name holds."""
    shown = place.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return ImageUnbuildable(message, place=shown if shown.isprintable() else repr(shown), remedy=remedy)


def _follow(link: Link, known: Mapping[str, Entry], leading: Mapping[str, Link], root: list[str]) -> None:
    at = link.place.split("/")[:-1]
    todo = _steps(link, at, root)
    hops = 1
    while todo:
        part = todo.pop()
        if part == "..":
            if at == root:
                raise _outside(link)
            at.pop()
            continue
        here = "/".join([*at, part])
        entry, following = known.get(here), leading.get(here)
        if following is None:
            if entry is None or (todo and not isinstance(entry, Folder)):
                raise refused(
                    f"the link to {link.target} leads nowhere", link.place, "remove or mend the link"
                )
            at.append(part)
            continue
        hops += 1
        if hops > _MAX_LINKS:
            raise refused("the link goes round in circles", link.place, "remove the link")
        todo += _steps(following, at, root)


def _steps(link: Link, at: list[str], root: list[str]) -> list[str]:
    """Give the parts of a link's text, last first; an absolute one moves `at` to the root."""
    parts = [part for part in link.target.split("/") if part not in ("", ".")]
    if link.target.startswith("/"):
        if parts[: len(root)] != root:
            raise _outside(link)
        at[:] = root
        parts = parts[len(root) :]
    return parts[::-1]


def _outside(link: Link) -> ImageUnbuildable:
    return refused(
        f"the link to {link.target} leaves the folder that it belongs to",
        link.place,
        "replace the link by what it points to",
    )


def _above(place: str) -> Iterable[str]:
    while "/" in place:
        place = place.rpartition("/")[0]
        yield place


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
