"""List what lies on disk as the entries of a layer. Reads names and sizes, no contents; follows no link."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from modelyard.images.entries import Entry, File, Folder, Link, check_links, check_place, complete, refused

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


def list_tree(folder: Path, place: str, *, of_base: frozenset[str] = frozenset()) -> tuple[Entry, ...]:
    """List a folder with all it holds, to lie at `place` in the image (`opt/env`).

    `of_base` names files of the base that links may lead to, each as the link's whole text: an environment's
    `bin/python` is a link to `/usr/bin/python3`.
    Nobody else may write into the folder meanwhile: what lies in it is found by its path.
    Raises `ImageUnbuildable` for what is no file, folder or link, and for other links that leave the folder.
    """
    check_place(place)
    entries = complete([Folder(place), *_walk(folder, place)])
    check_links(entries, place, of_base)
    return entries


def list_files(files: Mapping[str, Path]) -> tuple[Entry, ...]:
    """List single files by their place in the image; a link given here stands for the file behind it.

    Raises `ImageUnbuildable` for a place outside the image and for what is no regular file.
    """
    for place in files:
        check_place(place)
    return complete(_resolved(place, source) for place, source in files.items())


def _resolved(place: str, source: Path) -> File:
    with _readable(source):
        actual = source.resolve(strict=True)
        return _file(actual, place, actual.lstat())


def _walk(folder: Path, place: str) -> Iterator[Entry]:
    waiting = [(folder, place)]
    while waiting:
        here, at = waiting.pop()
        for path, facts in _listed(here):
            below = f"{at}/{path.name}"
            if stat.S_ISDIR(facts.st_mode):
                yield Folder(below)
                waiting.append((path, below))
            elif stat.S_ISLNK(facts.st_mode):
                yield _link(path, below)
            else:
                yield _file(path, below, facts)


def _listed(folder: Path) -> list[tuple[Path, os.stat_result]]:
    with _readable(folder), os.scandir(folder) as found:
        return [(Path(one.path), one.stat(follow_symlinks=False)) for one in found]


def _link(path: Path, place: str) -> Link:
    with _readable(path):
        return Link(place, os.readlink(path))  # noqa: PTH115  a Path would respell the text


def _file(path: Path, place: str, facts: os.stat_result) -> File:
    kind = stat.S_IFMT(facts.st_mode)
    if kind != stat.S_IFREG:
        what = _KINDS.get(kind, "an unknown kind of file")
        raise refused(f"is {what}; files are what can lie here", str(path), "remove it")
    executable = bool(facts.st_mode & stat.S_IXUSR)
    return File(place, path, facts.st_size, executable, (facts.st_dev, facts.st_ino))


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: pathlib met links that go round
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise refused(f"cannot be read: {why}", str(path), "make it readable or remove it") from error
