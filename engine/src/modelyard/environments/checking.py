"""Make sure that a laid out tree names nothing of the machine that built it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from modelyard.api import SystemError_
from modelyard.environments.bases import Place
from modelyard.environments.prefixes import leads_astray, shebang

_CHUNK_BYTES = 1 << 20


def check_tree(tree: Path, place: Place, *, built_in: Path, built_by: Path) -> None:
    """Raise `SystemError_` for the first file or link that leads back to this machine."""
    check_contents(
        tree, lambda at, target: leads_astray(at, target, place), built_in=built_in, spared=_is_shared
    )
    for script in (tree / "bin").iterdir():
        if not script.is_symlink():
            at = PurePosixPath(script.relative_to(tree))
            check(not _begins(script, shebang(built_by)), at, f"is run by {built_by}, which built it")


def check_contents(
    tree: Path,
    astray: Callable[[PurePosixPath, str], bool],
    *,
    built_in: Path,
    spared: Callable[[os.stat_result], bool] = lambda _: False,
) -> None:
    """Raise `SystemError_` for the first link that goes astray and the first file that names `built_in`.

    Files that are `spared` are not read.
    """
    for entry in _entries(str(tree)):
        at = PurePosixPath(entry.path.removeprefix(f"{tree}/"))
        if entry.is_symlink():
            target = os.readlink(entry.path)  # noqa: PTH115  a Path would respell the text
            check(not astray(at, target), at, f"is a link to {target}")
        elif not spared(entry.stat(follow_symlinks=False)):
            # The folder's own name is made up at random: it stands nowhere by chance.
            named = _holds(Path(entry.path), built_in.name.encode())
            check(not named, at, f"names {built_in}, where it was built")


def check(right: bool, at: PurePosixPath, wrong: str) -> None:  # noqa: FBT001  an assertion that stays under -O
    """Raise `SystemError_`, naming the file and what is wrong with it, unless it is `right`."""
    if not right:
        raise SystemError_(
            f"an environment for an image was not laid out well: {at} {wrong}",
            place=str(at),
            remedy="find the package that brings this file, and leave it out; then tell modelyard's makers",
        )


def _is_shared(facts: os.stat_result) -> bool:
    """Say whether a file is in uv's cache too: every tree has the same one, so it names none."""
    return facts.st_nlink > 1


def _entries(tree: str) -> Iterator[os.DirEntry[str]]:
    """Give all that a tree holds but folders."""
    waiting = [tree]
    while waiting:
        with os.scandir(waiting.pop()) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    yield entry


def _holds(file: Path, wanted: bytes) -> bool:
    """Search a file of any size; what stands across two chunks is found too."""
    seen = b""
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            if wanted in (seen := seen + chunk):
                return True
            seen = seen[-len(wanted) :]
    return False


def _begins(file: Path, start: bytes) -> bool:
    with file.open("rb") as opened:
        read = opened.read(len(start) + 1)
    return read.startswith(start) and (len(read) == len(start) or read[-1:].isspace())
