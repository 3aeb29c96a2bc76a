"""Make sure that a laid out tree names nothing of the machine that built it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from modelyard.api import SystemError_
from modelyard.environments.bases import Place
from modelyard.environments.prefixes import leads_astray, shebang

_CHUNK_BYTES = 1 << 20


def check_tree(tree: Path, place: Place, *, built_in: Path, built_by: Path) -> None:
    """Raise `SystemError_` for the first file or link that leads back to this machine."""
    for file in _files(tree):
        at = PurePosixPath(file.relative_to(tree).as_posix())
        if file.is_symlink():
            target = str(file.readlink())
            _check(not leads_astray(at, target, place), at, f"is a link to {target}")
            continue
        # The folder's own name is made up at random: it stands nowhere by chance.
        _check(not _holds(file, built_in.name.encode()), at, f"names {built_in}, where it was built")
        if at.parts[0] == "bin":
            _check(not _begins(file, shebang(built_by)), at, f"is run by {built_by}, which built it")


def _check(right: bool, at: PurePosixPath, wrong: str) -> None:  # noqa: FBT001  an assertion that stays under -O
    if not right:
        raise SystemError_(
            f"an environment for an image was not laid out well: {at} {wrong}",
            place=str(at),
            remedy="find the package that brings this file, and leave it out; then tell modelyard's makers",
        )


def _files(tree: Path) -> Iterator[Path]:
    for at, folders, names in os.walk(tree):
        linked = [name for name in folders if (Path(at) / name).is_symlink()]
        yield from (Path(at) / name for name in [*names, *linked])


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
