"""Make a tree beside its place and rename it there when whole: one at a time, and nothing half made is seen."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path, PurePath

from modelyard.api import Conflict
from modelyard.processes import FileLock, disk_errors

_LOCK_SECONDS = 3600.0
"""As for environments on disk: a slow download of large wheels."""


@contextlib.asynccontextmanager
async def making(folder: Path, *, mark: PurePath) -> AsyncIterator[Path]:
    """Give a folder to build in; what lies at its `tree` afterwards replaces an older one at `folder`.

    `mark` is a file that every such tree has: by it an older one is known. Raises `Conflict` where
    something else lies at `folder`; an error within leaves that as it was.
    """
    folder = await asyncio.to_thread(_prepare, folder, mark)
    async with FileLock(folder.parent / f".{folder.name}.lock", timeout_seconds=_LOCK_SECONDS):
        await asyncio.to_thread(_sweep, folder)
        with disk_errors(folder.parent):
            building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_named(folder)))
        try:
            yield building
            with disk_errors(folder):
                await asyncio.to_thread(_put, building, folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, building, ignore_errors=True)


def _named(folder: Path) -> str:
    return f".laying-{folder.name}-"


def _sweep(folder: Path) -> None:
    """Remove what killed runs left; the caller holds the lock."""
    for left in folder.parent.glob(f"{glob.escape(_named(folder))}*"):
        # The random end has no dash: `.laying-a-b-...` is of the folder `a-b`, which others may be making.
        if "-" not in left.name.removeprefix(_named(folder)):
            shutil.rmtree(left, ignore_errors=True)


def _prepare(folder: Path, mark: PurePath) -> Path:
    """Make the folder's parent; raises `Conflict` where something lies that no laying out has made."""
    if folder.is_symlink() or (folder.exists() and not _replaceable(folder, mark)):
        raise Conflict(
            "something else than an environment lies there",
            place=str(folder),
            remedy="move it away, or choose another folder",
        )
    with disk_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
    return folder.absolute()


def _replaceable(folder: Path, mark: PurePath) -> bool:
    return folder.is_dir() and ((folder / mark).is_file() or not any(folder.iterdir()))


def _put(building: Path, folder: Path) -> None:
    if folder.exists():
        folder.rename(building / "older")
    (building / "tree").rename(folder)
