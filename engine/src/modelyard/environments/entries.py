"""Entries of the environment cache: when one is whole, what a build left behind.

An entry is whole when its marker names its key and the sizes of its files hash to what the marker
says: a crash, a full disk or a power cut can leave no other kind of damage that goes unseen.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from modelyard.api import Conflict
from modelyard.processes import FileLock, disk_errors, write_atomic

MARKER = ".modelyard-complete.json"
MARKER_VERSION = 1
_BUILDING, _BROKEN = ".building-", ".broken-"
_KEEP_BROKEN_SECONDS = 24 * 3600.0
"""Processes started from a broken entry may still read it."""


def entry_path(environments: Path, lock_key: str) -> Path:
    """Return where an environment lies once it is whole."""
    return environments / lock_key


def entry_lock(environments: Path, lock_key: str, *, timeout_seconds: float) -> FileLock:
    """Return the lock that whoever builds or removes this entry holds."""
    return FileLock(environments / f"{lock_key}.lock", timeout_seconds=timeout_seconds)


def is_whole(entry: Path) -> bool:
    """Check marker, manifest and interpreter link; changes nothing."""
    try:
        marker = json.loads((entry / MARKER).read_text(encoding="utf-8"))
        return (
            marker["version"] == MARKER_VERSION
            and marker["lock_key"] == entry.name
            and os.access(entry / "bin" / "python", os.X_OK)
            and marker["manifest"] == manifest(entry)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def seal(building: Path, lock_key: str) -> None:
    """Write the marker: from here on the folder may be renamed into place."""
    facts = {"version": MARKER_VERSION, "lock_key": lock_key, "manifest": manifest(building)}
    write_atomic(building / MARKER, json.dumps(facts, sort_keys=True).encode(), mode=0o644)


def manifest(folder: Path) -> str:
    """Hash the relative path and size of every file; compiled files come and go, so they do not count."""
    lines = sorted(f"{path}\0{size}" for path, size in _files(str(folder), ""))
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def size_bytes(folder: Path) -> int:
    """Return what a folder's files weigh; compiled files not counted."""
    return sum(size for _, size in _files(str(folder), ""))


def new_building(environments: Path, lock_key: str) -> Path:
    """Make a folder to build in, beside where the entry will lie."""
    with disk_errors(environments):
        return Path(tempfile.mkdtemp(dir=environments, prefix=f"{_BUILDING}{lock_key}-"))


def set_aside(entry: Path) -> Path:
    """Move a damaged entry out of the way; it is swept a day later."""
    aside = entry.with_name(f"{_BROKEN}{entry.name}-{time.time_ns()}")
    entry.rename(aside)
    os.utime(aside)
    return aside


def sweep(environments: Path, *, held: str) -> None:
    """Remove what dead builds and old damage left; the caller holds the lock of the key `held`."""
    for folder in environments.glob(f"{_BUILDING}*"):
        key = folder.name.removeprefix(_BUILDING).rpartition("-")[0]
        if key == held:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        try:
            with entry_lock(environments, key, timeout_seconds=0):
                shutil.rmtree(folder, ignore_errors=True)
        except Conflict:
            continue  # somebody builds it right now
    for folder in environments.glob(f"{_BROKEN}*"):
        if time.time() - folder.stat().st_mtime > _KEEP_BROKEN_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _files(folder: str, prefix: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    yield from _files(entry.path, f"{prefix}{entry.name}/")
            elif entry.name != MARKER:
                yield prefix + entry.name, entry.stat(follow_symlinks=False).st_size
