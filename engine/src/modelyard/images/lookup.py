"""Find the image of a key, or build it once however many ask at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from modelyard.api import Descriptor, NotFound, Registry, Unavailable
from modelyard.images.images import Repository
from modelyard.processes import FileLock, disk_errors, scratch

ENVIRONMENT_IMAGES = "images/environments"
"""The repository, in every registry, of images that hold an environment on a base; tags are lock keys."""
BASE_IMAGES = "images/bases"
"""The repository of bases that docker steps were done to or conda packages laid on; tags are keys of both."""
WORK = "work"
"""What folders of builds are called: any build sweeps those that killed ones left, whatever they built."""
_LOCK_SECONDS = 3600.0
"""Whoever comes second waits as long as a large image may take."""
log = logging.getLogger(__name__)

Build = Callable[[Repository, Path], Awaitable[Descriptor]]
"""Builds an image into a repository under its key; the folder is empty, and gone afterwards."""


@attrs.frozen
class Found:
    """Where an image is."""

    repository: Repository
    manifest: Descriptor


@attrs.frozen
class Shelves:
    """Registries to look in: this workspace's own, then those it shares. `folder` is for locks and building."""

    workspace: Registry
    shared: tuple[Registry, ...]
    folder: Path


async def find_image(key: str, shelves: Shelves, repository: str = ENVIRONMENT_IMAGES) -> Found | None:
    """Look into the workspace's registry, then into the shared ones; None = it must be built.

    A shared registry that does not answer is passed over: it could only have saved time.
    """
    own = await _find(key, shelves.workspace, repository)
    return own or await _find_shared(key, shelves.shared, repository)


async def find_or_build(
    key: str, shelves: Shelves, build: Build, repository: str = ENVIRONMENT_IMAGES
) -> Found:
    """Return the image of a key, built into the workspace's registry if nobody has it.

    Callers on one machine take turns, so that the second finds what the first built. On two machines
    both may build: they push the same blobs. Raises what `build` raises; the next call starts afresh.
    """
    if found := await find_image(key, shelves, repository):
        return found
    with disk_errors(shelves.folder):
        shelves.folder.mkdir(parents=True, exist_ok=True)
    async with key_lock(shelves.folder, key, timeout_seconds=_LOCK_SECONDS):
        if found := await find_image(key, shelves, repository):
            return found
        own = Repository(shelves.workspace, repository)
        async with working(shelves.folder) as folder:
            return Found(own, await build(own, folder))


def key_lock(folder: Path, key: str, *, timeout_seconds: float) -> FileLock:
    """Give the lock that whoever builds the image of a key on this machine holds."""
    return FileLock(folder / f"{key}.lock", timeout_seconds=timeout_seconds)


async def _find_shared(key: str, registries: Iterable[Registry], repository: str) -> Found | None:
    for registry in registries:
        try:
            if found := await _find(key, registry, repository):
                return found
        except Unavailable as failure:
            log.warning("the shared registry %s was passed over: %s", registry.name, failure)
    return None


async def _find(key: str, registry: Registry, repository: str) -> Found | None:
    try:
        manifest = await registry.resolve(repository, key)
    except NotFound:
        return None
    return Found(Repository(registry, repository), manifest)


@asynccontextmanager
async def working(folder: Path) -> AsyncIterator[Path]:
    """Give an empty folder below one of the cache; a build may leave much in it, which is removed in a thread."""
    with contextlib.ExitStack() as left:
        work = await asyncio.to_thread(left.enter_context, scratch(folder, WORK))
        try:
            yield work
        finally:
            await asyncio.to_thread(left.close)
