"""Code trees on disk, named by digest: `<root>/<hex>/`. Whole or absent; files are read-only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from modelyard.api import SnapshotError
from modelyard.packaging.opening import cannot_write, copy_verified, open_file, open_folder
from modelyard.packaging.snapshots import FileEntry, Snapshot, hex_of
from modelyard.packaging.staging import move_into_place, staging

_READ_ONLY = 0o555


def materialise(source: Path, snapshot: Snapshot, root: Path) -> Path:
    """Copy the snapshot's files from `source` to `<root>/<hex>/` and return that folder.

    Idempotent and safe beside itself. A tree that is already there is verified, and files of it that
    were damaged are replaced one by one. Raises `SnapshotError` when a source file has changed.
    """
    final = root / hex_of(snapshot.digest)
    try:
        if final.is_dir() and not _damaged(final, snapshot):
            return final
        with staging(root) as stage:
            tree = stage / "tree"
            _copy(source, snapshot, tree)
            if not move_into_place(tree, final):
                _mend(tree, final, snapshot)
    except OSError as error:
        raise cannot_write(final, error) from error
    return final


def _copy(source: Path, snapshot: Snapshot, tree: Path) -> None:
    tree.mkdir()
    with open_folder(source) as root:
        for entry in snapshot.files:
            with open_file(root, entry.path) as file, _created(tree / entry.path, entry.mode) as copy:
                copy_verified(file, entry, copy.write)


def _created(path: Path, mode: int) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode & _READ_ONLY)
    return os.fdopen(descriptor, "wb")


def _damaged(final: Path, snapshot: Snapshot) -> list[FileEntry]:
    with open_folder(final) as root:
        return [entry for entry in snapshot.files if not _intact(root, entry)]


def _intact(root: int, entry: FileEntry) -> bool:
    try:
        with open_file(root, entry.path) as file:
            copy_verified(file, entry, lambda _: None)
    except SnapshotError:
        return False
    return True


def _mend(tree: Path, final: Path, snapshot: Snapshot) -> None:
    for entry in _damaged(final, snapshot):
        (final / entry.path).parent.mkdir(parents=True, exist_ok=True)
        (tree / entry.path).replace(final / entry.path)
