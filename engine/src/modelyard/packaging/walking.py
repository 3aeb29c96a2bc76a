"""Walk a folder and list what would be packed; reads names and sizes, not contents."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Protocol

import attrs

from modelyard.api import SnapshotError
from modelyard.packaging.opening import open_subfolder, resolve_inside

MAX_DEPTH = 100


class Leaving(Protocol):
    """Decides what is left out."""

    def leave_out(self, path: str, *, is_folder: bool) -> bool:
        """Say whether an entry is left out."""
        ...


@attrs.frozen
class Found:
    """A file to pack; `origin` is the file a link stands for, else the path itself."""

    path: str
    origin: str
    size: int
    executable: bool


@attrs.frozen
class LeftOut:
    """An entry that a rule kept out; folders end in `/`."""

    path: str


def walk(root: int, rules: Leaving) -> Iterator[Found | LeftOut]:
    """Yield every entry below the folder, in the order of names. Raises `SnapshotError` on odd ones."""
    yield from _walk(root, root, "", rules, 0)


def _walk(root: int, folder: int, prefix: str, rules: Leaving, depth: int) -> Iterator[Found | LeftOut]:
    if depth > MAX_DEPTH:
        raise SnapshotError(
            f"folders are nested over {MAX_DEPTH} deep", place=prefix, remedy="flatten them or leave them out"
        )
    for name in _names(folder, prefix):
        path = prefix + name
        _check_name(path, name)
        facts = os.lstat(name, dir_fd=folder)
        is_folder = stat.S_ISDIR(facts.st_mode)
        if rules.leave_out(path, is_folder=is_folder):
            yield LeftOut(f"{path}/" if is_folder else path)
        elif is_folder:
            with open_subfolder(name, folder) as inner:
                yield from _walk(root, inner, f"{path}/", rules, depth + 1)
        else:
            yield _found(root, path, facts)


def _names(folder: int, prefix: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise _unreadable(prefix, error) from error


def _unreadable(path: str, error: OSError) -> SnapshotError:
    return SnapshotError(
        f"the folder cannot be read: {error.strerror}",
        place=path or ".",
        remedy="make it readable, or list it in .amlignore",
    )


def _check_name(path: str, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise _bad_name(path, "is not UTF-8") from error
    if not name.isprintable():
        raise _bad_name(path, "holds characters that cannot be printed")


def _bad_name(path: str, why: str) -> SnapshotError:
    shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return SnapshotError(f"the name {why}", place=repr(shown), remedy="rename or remove the file")


def _found(root: int, path: str, facts: os.stat_result) -> Found:
    origin = path
    if stat.S_ISLNK(facts.st_mode):
        origin, facts = _behind_link(root, path)
    if not stat.S_ISREG(facts.st_mode):
        raise SnapshotError(
            f"is {_kind(facts.st_mode)}; only regular files can be packed",
            place=path,
            remedy="remove it, or list it in .amlignore",
        )
    return Found(path, origin, facts.st_size, bool(facts.st_mode & stat.S_IXUSR))


def _behind_link(root: int, path: str) -> tuple[str, os.stat_result]:
    try:
        origin = "/".join(resolve_inside(root, path)) or "."
        return origin, os.lstat(origin, dir_fd=root)
    except OSError as error:
        raise SnapshotError(
            f"the link leads nowhere: {error.strerror}", place=path, remedy="remove or mend the link"
        ) from error


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a link to a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFBLK: "a block device",
        stat.S_IFCHR: "a character device",
    }
    return kinds.get(stat.S_IFMT(mode), "an unknown kind of file")
