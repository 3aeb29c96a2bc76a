"""Write a snapshot as a tar: the same snapshot gives the same bytes, wherever and whenever."""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path
from typing import IO

from modelyard.packaging.opening import cannot_write, copy_verified, open_file, open_folder
from modelyard.packaging.snapshots import FileEntry, Snapshot


def write_tar(source: Path, snapshot: Snapshot, destination: Path) -> None:
    """Write the snapshot's files (sorted, mtime 0, owner 0) to `destination`, whole or not at all.

    Raises `SnapshotError` when a file is no longer what the snapshot says.
    """
    try:
        _write_beside(source, snapshot, destination)
    except OSError as error:
        raise cannot_write(destination, error) from error


def _write_beside(source: Path, snapshot: Snapshot, destination: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=destination.parent, prefix=".tar-", delete=False) as file:
        temporary = Path(file.name)
        try:
            _write(source, snapshot, file)
            file.flush()
            temporary.replace(destination)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _write(source: Path, snapshot: Snapshot, output: IO[bytes]) -> None:
    with open_folder(source) as root:
        for entry in snapshot.files:
            output.write(_header(entry))
            with open_file(root, entry.path) as file:
                copy_verified(file, entry, output.write)
            output.write(bytes(-entry.size % tarfile.BLOCKSIZE))
    _finish(output)


def _header(entry: FileEntry) -> bytes:
    info = tarfile.TarInfo(entry.path)
    info.size, info.mode, info.mtime = entry.size, entry.mode, 0
    return info.tobuf(format=tarfile.PAX_FORMAT, encoding="utf-8", errors="strict")


def _finish(output: IO[bytes]) -> None:
    """End as tar wants it: two empty blocks, padded to a whole record."""
    output.write(bytes(2 * tarfile.BLOCKSIZE))
    output.write(bytes(-output.seek(0, io.SEEK_CUR) % tarfile.RECORDSIZE))
