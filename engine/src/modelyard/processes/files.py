"""Files and what they cost: atomic writes, disk space, memory of a process."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from modelyard.api import SystemError_

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_LOCKED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def write_atomic(path: Path, content: bytes, *, mode: int = 0o600, is_lasting: bool = True) -> None:
    """Replace a file so that every reader, and every crash, sees the old content or the new.

    `is_lasting` False = sooner done: when the machine itself dies the file may be damaged, so this is for what
    can be made again and is checked when it is read.
    """
    with disk_errors(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(content)
                file.flush()
                if is_lasting:
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if is_lasting:
            _sync_folder(path.parent)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full or locked disk into an error that names the path and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise SystemError_(
                f"the disk is full: {free_bytes(path)} bytes are free",
                place=str(path),
                remedy="free some space, then run the command again",
            ) from error
        if error.errno in _LOCKED:
            raise SystemError_(
                f"cannot write: {error.strerror}",
                place=str(path),
                remedy="give this user the right to write there, or set MODELYARD_HOME",
            ) from error
        raise


def free_bytes(path: Path) -> int:
    """Return the space that this user may still fill where `path` is, or will be."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(existing).free


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory; 0 when it is gone or the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
