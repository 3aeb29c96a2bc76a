"""Change files of a tree that may be hard links into uv's cache: by new files in their place, never within."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def rewrite(file: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Put a new file in the place of one, or where none is."""
    with _in_place_of(file, mode) as fresh:
        fresh.write(content)


def change_mode(file: Path, facts: os.stat_result, mode: int) -> None:
    """Change the mode of a regular file that `facts` tell of; one with other names becomes a file of its own."""
    if stat.S_IMODE(facts.st_mode) == mode:
        return
    if facts.st_nlink == 1:
        file.chmod(mode)
        return
    with _in_place_of(file, mode) as fresh, file.open("rb") as old:
        shutil.copyfileobj(old, fresh)


@contextlib.contextmanager
def _in_place_of(file: Path, mode: int) -> Iterator[IO[bytes]]:
    """Give a file to write; what an error leaves of it goes with the folder in which the tree is built."""
    handle, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "wb") as fresh:
        yield fresh
        os.fchmod(handle, mode)
    Path(name).replace(file)
