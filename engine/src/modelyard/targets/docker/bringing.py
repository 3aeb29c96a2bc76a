"""Bring an image from a registry into the daemon: asked for first, then streamed; and forget those nobody needs."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import attrs

from modelyard.api import (
    Artifact,
    Descriptor,
    ImageRef,
    ImageUnbuildable,
    ModelyardError,
    OnLine,
    Registry,
    StoreDamaged,
    SystemError_,
    UserError,
)
from modelyard.containers import (
    Archive,
    Daemon,
    DaemonFacts,
    Image,
    Layer,
    find_image,
    known_chains,
    list_users,
    load,
    open_archive,
    remove_tag,
    shared_layers,
)
from modelyard.processes import FileLock, disk_errors
from modelyard.targets.docker.brought import Brought

log = logging.getLogger(__name__)

_LOCK_SECONDS = 3600.0
"""Whoever comes second waits as long as a large image may take."""
_LARGEST_CONFIG = 4 * 1024 * 1024
_ZSTD_API = (1, 42)
"""Docker 23 reads layers in zstd."""
_STEPS = 4
"""How often a layer's progress is told."""
_MB = 1_000_000


@attrs.frozen
class Wanted:
    """An image as its registry describes it."""

    ref: ImageRef
    archive: Archive
    has_zstd: bool


def tag_of(image: ImageRef) -> str:
    """Name an image in the daemon: `modelyard/digits:<digest>`."""
    return f"modelyard/{image.repository.rpartition('/')[2]}:{image.digest.removeprefix('sha256:')}"


class Porter:
    """Brings images for one engine, and takes them away again."""

    def __init__(self, daemon: Daemon, brought: Brought, locks: Path) -> None:
        self._daemon = daemon
        self._brought = brought
        self._locks = locks

    async def bring(self, image: ImageRef, registry: Registry, *, on_line: OnLine) -> None:
        """Make the daemon have the image; one at a time, whoever asks."""
        async with self._one_at_a_time(image):
            self._brought.remember(image)
            wanted = await describe(image, registry)
            if _is(await find_image(self._daemon, tag_of(image)), wanted):
                return
            await self._send(wanted, registry, on_line)

    async def find(self, image: ImageRef) -> Image:
        """Give the image in the daemon. Raises `SystemError_` when it is not there."""
        found = await find_image(self._daemon, tag_of(image))
        if found is None:
            raise SystemError_(
                f"the image {image} is not in the Docker daemon",
                place=self._daemon.address,
                remedy="deploy again: it is brought from the registry before replicas start",
            )
        return found

    async def forget_unused(self) -> None:
        """Remove the images that this engine brought and no container stands on, but for the newest."""
        for image in self._brought.all():
            if self._brought.is_new(image):
                continue
            try:
                await self._forget(image)
            except ModelyardError as error:
                log.warning("an image that nobody needs could not be removed: %s", error)

    async def _forget(self, image: ImageRef) -> None:
        async with self._one_at_a_time(image):
            if self._brought.is_new(image):
                return  # somebody wants it again
            found = await find_image(self._daemon, tag_of(image))
            if found is not None and await list_users(self._daemon, found.id):
                return
            if await remove_tag(self._daemon, tag_of(image)):
                self._brought.forget(image)

    async def _send(self, wanted: Wanted, registry: Registry, on_line: OnLine) -> None:
        facts = await self._daemon.facts()
        _check_readable(wanted, facts)
        present = 0
        if not facts.containerd_images:
            present = shared_layers(wanted.archive.chain, await known_chains(self._daemon))
        on_line(_summary(wanted, present))
        try:
            await self._load(wanted, registry, on_line, present=present)
        except SystemError_ as error:
            if not present or "no such file or directory" not in error.message:
                raise
            # what it had was removed while we were sending
            await self._load(wanted, registry, on_line, present=0)
        if not _is(await find_image(self._daemon, tag_of(wanted.ref)), wanted):
            raise SystemError_(
                f"the Docker daemon took {wanted.ref} and has another image under its name",
                place=self._daemon.address,
                remedy="deploy again; if it stays so, look at the daemon's log",
            )
        on_line(f"brought {wanted.ref.repository} to Docker")

    async def _load(self, wanted: Wanted, registry: Registry, on_line: OnLine, *, present: int) -> None:
        def read(digest: str) -> AsyncIterator[bytes]:
            size = next(one.size for one in wanted.archive.layers if one.digest == digest)
            return _told(registry.read_blob(wanted.ref.repository, digest), digest, size, on_line)

        await load(self._daemon, open_archive(wanted.archive, read, present=present))

    def _one_at_a_time(self, image: ImageRef) -> FileLock:
        with disk_errors(self._locks):
            self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = image.digest.removeprefix("sha256:")
        return FileLock(self._locks / f"{name}.lock", timeout_seconds=_LOCK_SECONDS)


async def describe(image: ImageRef, registry: Registry) -> Wanted:
    """Read an image's manifest and configuration. Raises `UserError` for what is no image."""
    artifact = await registry.pull(image.repository, image.digest)
    config = await _read_config(image, registry, artifact)
    try:
        diff_ids = json.loads(config)["rootfs"]["diff_ids"]
        pairs = list(zip(artifact.layers, diff_ids, strict=True))
    except (ValueError, KeyError, TypeError) as error:
        raise ImageUnbuildable(
            f"the image's configuration is damaged: {error}", place=str(image), remedy="build it again"
        ) from error
    layers = tuple(Layer(blob.digest, blob.size, str(diff_id)) for blob, diff_id in pairs)
    has_zstd = any("zstd" in blob.media_type for blob in artifact.layers)
    return Wanted(image, Archive(config, layers, tag_of(image)), has_zstd)


async def _read_config(image: ImageRef, registry: Registry, artifact: Artifact) -> bytes:
    blob: Descriptor | None = artifact.config
    if blob is None or blob.size > _LARGEST_CONFIG:
        raise UserError(
            "this is no container image", place=str(image), remedy="name an image, not another artifact"
        )
    content = b""
    async for chunk in registry.read_blob(image.repository, blob.digest):
        content += chunk
        if len(content) > blob.size:
            raise StoreDamaged(
                "the image's configuration is larger than its manifest says",
                place=str(image),
                remedy="build the image again",
            )
    return content


def _is(found: Image | None, wanted: Wanted) -> bool:
    """Whether what the daemon has under our tag holds the wanted layers: a tag may be moved by anybody."""
    return found is not None and found.chain == wanted.archive.chain


def readable_layers(facts: DaemonFacts) -> str:
    """Say in which compressions the daemon reads layers, as `api.READABLE_LAYERS` has it."""
    return "gzip" if facts.api_version < _ZSTD_API else "gzip zstd"


def _check_readable(wanted: Wanted, facts: DaemonFacts) -> None:
    if wanted.has_zstd and "zstd" not in readable_layers(facts):
        raise UserError(
            f"the image has layers in zstd, which Docker {facts.version} cannot read",
            place=str(wanted.ref),
            remedy="update Docker to 23 or newer, or choose `images.compression: gzip` in settings.yaml and a base"
            " image with layers in gzip",
        )


def _summary(wanted: Wanted, present: int) -> str:
    layers = wanted.archive.layers
    size = sum(one.size for one in layers[present:]) // _MB
    return f"bringing {wanted.ref.repository} to Docker: {len(layers) - present} of {len(layers)} layers, {size} MB"


async def _told(
    chunks: AsyncIterator[bytes], digest: str, size: int, on_line: Callable[[str], None]
) -> AsyncIterator[bytes]:
    sent, step = 0, max(size // _STEPS, 16 * _MB)
    async for chunk in chunks:
        if (sent + len(chunk)) // step > sent // step:
            on_line(f"layer {digest[7:19]}: {(sent + len(chunk)) // _MB} of {size // _MB} MB")
        sent += len(chunk)
        yield chunk
