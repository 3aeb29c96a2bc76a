"""Copy images of environments between registries, with the locks of what is in them."""

from __future__ import annotations

import asyncio
import platform as machine
import re
import shutil

import attrs

from modelyard.api import ImageKind, ImageUnbuildable, Progress, Registry, TransferReport, UserError
from modelyard.controller.artifacts.finding import find_entry, find_key
from modelyard.controller.artifacts.telling import Tell
from modelyard.controller.artifacts.uses import Leasing
from modelyard.controller.ports import History
from modelyard.host import Host
from modelyard.images import (
    ENVIRONMENT_IMAGES,
    Moved,
    Repository,
    Seen,
    copy_image,
    copy_locks,
    environments_of,
    key_lock,
    key_of,
    locate,
    parse_reference,
    platform_of,
    read_image,
)
from modelyard.processes import Home, disk_errors

_KEY = re.compile(r"[0-9a-f]{64}")
_LOCK_SECONDS = 3600.0
"""Whoever builds or copies the same image goes first."""


@attrs.frozen
class Transfers:
    """Brings images to the workspace's registry, and from there to others."""

    home: Home
    host: Host
    leasing: Leasing
    history: History

    async def pull(
        self, reference: str, key: str, workspace: Registry, tell: Tell[TransferReport]
    ) -> TransferReport:
        """Copy an image of any registry into the workspace's, under the key that it says it has.

        `key` is for images that say none. Raises `UserError` where the two differ.
        """
        try:
            located = locate(parse_reference(reference), self.host.registries)
        except ImageUnbuildable as error:
            raise UserError(
                error.message,
                place=reference,
                remedy="write REGISTRY/images/environments:KEY, REGISTRY as `engine plugins show registry` has it",
            ) from error
        source = Repository(located.registry, located.repository)
        pointer = located.pointer
        if source.name == ENVIRONMENT_IMAGES:
            pointer = await find_key(pointer, source.registry, source.name) or pointer
        here = platform_of(machine.machine())
        manifest = await source.registry.resolve_platform(source.name, pointer, here)
        seen = await read_image(source, manifest.digest)
        chosen = key_for(seen, key)
        with self.leasing.using(workspace) as uses:
            await uses.take(ENVIRONMENT_IMAGES, chosen)
            return await self._copy(seen, source, workspace, chosen, tell)

    async def push(
        self, name: str, target: Registry, workspace: Registry, tell: Tell[TransferReport]
    ) -> TransferReport:
        """Copy the image of an environment, a service's own or one named by its key, to another registry."""
        entry = await find_entry(name, workspace, self.history())
        if entry.kind is ImageKind.BASE:
            raise UserError(f"{name} is a base with docker steps: only environments are copied", place=name)
        key = entry.tag if entry.kind is ImageKind.ENVIRONMENT else key_of(entry.seen.base)
        source = Repository(workspace, ENVIRONMENT_IMAGES)
        with self.leasing.using(workspace) as uses:
            await uses.take(ENVIRONMENT_IMAGES, key)
            return await self._copy(await read_image(source, key), source, target, key, tell)

    async def _copy(
        self, seen: Seen, source: Repository, registry: Registry, key: str, tell: Tell[TransferReport]
    ) -> TransferReport:
        target, work = Repository(registry, ENVIRONMENT_IMAGES), self.home.cache / "images"

        def moved(now: Moved) -> None:
            words = f"copying {key[:12]} from {source.registry.name} to {registry.name}"
            tell(Progress(words, done_bytes=now.done_bytes, total_bytes=now.total_bytes))

        with disk_errors(work):
            work.mkdir(parents=True, exist_ok=True)
        async with key_lock(work, key, timeout_seconds=_LOCK_SECONDS):
            folder = work / f"{key}.copy"
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)  # left by one that was killed
            with disk_errors(folder):
                folder.mkdir()
            try:
                await copy_locks(key, source.registry, registry)
                digest = seen.manifest.digest
                manifest, at_end = await copy_image(
                    digest, source, target=target, tag=key, folder=folder, on_moved=moved
                )
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return TransferReport(
            key=key,
            digest=manifest.digest,
            source=f"{source.registry.name}/{source.name}",
            target=f"{registry.name}/{target.name}:{key}",
            total_bytes=at_end.total_bytes,
            sent_bytes=at_end.sent_bytes,
        )


def key_for(seen: Seen, asked: str) -> str:
    """Give the key under which an image may be found: its own, or one that is named for an image without.

    Raises `UserError` where they differ, and `ImageUnbuildable` for what holds no environment.
    """
    environments_of(seen.base)
    own = key_of(seen.base)
    if asked and not _KEY.fullmatch(asked):
        raise UserError(f"{asked!r} is no key", place="--as", remedy="a key has 64 hex digits")
    if own and asked not in ("", own):
        raise UserError(
            f"the image says that its key is {own}: under another it would be taken for what it is not",
            place="--as",
            remedy="leave --as out",
        )
    if not (own or asked):
        raise UserError(
            "the image does not say its key",
            place=seen.base.name,
            remedy="name it with --as KEY, if you know that it holds just that environment",
        )
    return own or asked
