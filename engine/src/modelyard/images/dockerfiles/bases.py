"""Make a base present in the daemon: streamed from its registry, layer by layer that the daemon lacks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs

from modelyard.api import BuildOrder, BuildSite, Unavailable
from modelyard.containers import Archive, Daemon, Layer, find_image, known_chains, load, open_archive
from modelyard.containers.archives import shared_layers
from modelyard.images.bases import find_base
from modelyard.images.configs import config_descriptor
from modelyard.images.images import Base, Repository

BASES = "modelyard-base"
"""The repository, in the daemon, of bases; tags are digests of configurations. They stay for the next build."""


@attrs.frozen
class Present:
    """A base, and the name that it has in the daemon."""

    base: Base
    name: str


async def bring_base(order: BuildOrder, site: BuildSite, daemon: Daemon) -> Present:
    """Find the base of an order and make the daemon have it. Raises what `find_base` and the daemon raise."""
    origin = Repository(site.base, order.base.repository)
    base = await find_base(origin, order.base.digest, order.platform)
    config = config_descriptor(base.name, await site.base.pull(origin.name, base.digest))
    name = f"{BASES}:{config.digest.removeprefix('sha256:')}"
    if await _has(daemon, name, base):
        return Present(base, name)
    content = b"".join([chunk async for chunk in site.base.read_blob(origin.name, config.digest)])
    archive = Archive(content, _layers(base), name)
    present = shared_layers(archive.chain, await known_chains(daemon))

    def read(digest: str) -> AsyncIterator[bytes]:
        return site.base.read_blob(origin.name, digest)

    await load(daemon, open_archive(archive, read, present=present))
    if not await _has(daemon, name, base):
        raise Unavailable(
            "the Docker daemon lost the base image as soon as it had it",
            place=f"{daemon.address}: {name}",
            remedy="see whether something there prunes images, and try again",
        )
    return Present(base, name)


async def _has(daemon: Daemon, name: str, base: Base) -> bool:
    found = await find_image(daemon, name)
    return found is not None and list(found.chain) == base.config["rootfs"]["diff_ids"]


def _layers(base: Base) -> tuple[Layer, ...]:
    diff_ids = base.config["rootfs"]["diff_ids"]
    return tuple(
        Layer(blob.digest, blob.size, diff_id) for blob, diff_id in zip(base.layers, diff_ids, strict=True)
    )
