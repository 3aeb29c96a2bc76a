"""Open files inside a folder and nowhere else.

Every step is a descriptor opened without following links, so a folder that changes meanwhile cannot
lead outside. Relative links that stay inside are resolved by hand; all others are refused.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from modelyard.api import SnapshotError, SystemError_
from modelyard.packaging.snapshots import DIGEST_PREFIX, FileEntry

CHUNK_BYTES = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # non-blocking: a FIFO must not hang us
_MAX_LINKS = 40  # the kernel's own bound


@contextlib.contextmanager
def open_folder(path: Path) -> Iterator[int]:
    """Open the top folder; the user named it, so links on the way to it are followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SnapshotError(
            f"the folder cannot be read: {error.strerror}",
            place=str(path),
            remedy="name an existing folder that you may read",
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def open_subfolder(name: str, folder: int) -> Iterator[int]:
    """Open a folder that lies directly in another one. Raises `SnapshotError` when it cannot."""
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        raise _unreadable(name, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def open_file(root: int, path: str) -> Iterator[IO[bytes]]:
    """Open a regular file below `root`; links that stay below it are followed."""
    try:
        descriptor = _open_plain(root, resolve_inside(root, path))
    except OSError as error:
        raise _unreadable(path, error) from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SnapshotError(
                "only regular files can be packed", place=path, remedy="remove it or list it in .amlignore"
            )
        yield file


def resolve_inside(root: int, path: str) -> tuple[str, ...]:
    """Follow the links of a path as far as they stay below `root`. Raises `SnapshotError` otherwise."""
    todo = path.split("/")[::-1]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            _leave(done, path)
            continue
        done.append(part)
        if stat.S_ISLNK(os.lstat("/".join(done), dir_fd=root).st_mode):
            links += 1
            todo.extend(_link_parts(root, done, path, links)[::-1])
            done.pop()
    return tuple(done)


def copy_verified(source: IO[bytes], entry: FileEntry, write: Callable[[bytes], object]) -> None:
    """Pass a file's bytes on. Raises `SnapshotError` when they are not those of the snapshot."""
    hasher, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK_BYTES):
        size += len(chunk)
        if size > entry.size:
            break
        hasher.update(chunk)
        write(chunk)
    if size != entry.size or DIGEST_PREFIX + hasher.hexdigest() != entry.digest:
        raise changed(entry.path)


def changed(path: str) -> SnapshotError:
    """Say that a file is no longer what it was."""
    return SnapshotError(
        "the file changed while it was read",
        place=path,
        remedy="let whatever writes it finish and run the command again",
    )


def cannot_write(path: Path, error: OSError) -> SystemError_:
    """Say why the engine's own folder cannot be written, with a remedy for a full disk."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return SystemError_(
        f"cannot write: {error.strerror or error}",
        place=str(path),
        remedy="free disk space and run the command again" if full else "make the folder writable",
    )


def _open_plain(root: int, parts: tuple[str, ...]) -> int:
    with contextlib.ExitStack() as folders:
        folder = root
        for part in parts[:-1]:
            folder = folders.enter_context(open_subfolder(part, folder))
        return os.open(parts[-1] if parts else ".", _FILE, dir_fd=folder)


def _link_parts(root: int, done: list[str], path: str, links: int) -> list[str]:
    target = os.readlink("/".join(done), dir_fd=root)
    if links > _MAX_LINKS:
        raise SnapshotError("the link goes round in circles", place=path, remedy="remove the link")
    if target.startswith("/"):
        raise _outside(path, f"the link points to the absolute path {target}")
    return target.split("/")


def _leave(done: list[str], path: str) -> None:
    if not done:
        raise _outside(path, "the link leaves the folder")
    done.pop()


def _outside(path: str, message: str) -> SnapshotError:
    return SnapshotError(
        message,
        place=path,
        remedy="replace the link by the file it points to, or list it in .amlignore",
    )


def _unreadable(path: str, error: OSError) -> SnapshotError:
    return SnapshotError(
        f"cannot be read: {error.strerror}",
        place=path,
        remedy="make it readable, or list it in .amlignore",
    )
