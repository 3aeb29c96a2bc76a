"""Make a base present in the daemon: streamed from its registry, unless the daemon has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

import attrs

from modelyard.api import Artifact, BuildOrder, BuildSite, Descriptor, Unavailable
from modelyard.containers.building import BuildDaemon, Piece, Stop, write_archive
from modelyard.images.bases import find_base
from modelyard.images.configs import config_descriptor
from modelyard.images.dockerfiles.waiting import finish
from modelyard.images.images import Base, Repository

BASES = "modelyard-base"
"""The repository, in the daemon, of bases; tags are digests of configurations. They stay there for the next build."""
T = TypeVar("T")


@attrs.frozen
class Present:
    """A base, and the name that it has in the daemon."""

    base: Base
    name: str


async def bring_base(order: BuildOrder, site: BuildSite, daemon: BuildDaemon) -> Present:
    """Find the base of an order and make the daemon have it. Raises what `find_base` and the daemon raise."""
    origin = Repository(site.base, order.base.repository)
    base = await find_base(origin, order.base.digest, order.platform)
    artifact = await site.base.pull(origin.name, base.digest)
    name = f"{BASES}:{config_descriptor(base.name, artifact).digest.removeprefix('sha256:')}"
    loop = asyncio.get_running_loop()
    await finish(lambda stop: _Bringing(daemon, base, artifact, origin, loop).bring(name, stop))
    return Present(base, name)


@attrs.frozen
class _Bringing:
    daemon: BuildDaemon
    base: Base
    artifact: Artifact
    origin: Repository
    loop: asyncio.AbstractEventLoop

    def bring(self, name: str, stop: Stop) -> None:
        """Runs in a thread; the blobs come from the event loop's registry."""
        config = config_descriptor(self.base.name, self.artifact)
        if self._has(name):
            return
        if self._has(config.digest):
            self.daemon.tag(config.digest, *name.split(":"))
            return
        layers = [self._piece(layer) for layer in self.artifact.layers]
        self.daemon.load(write_archive(self._piece(config), layers, [name]), stop)
        if not self._has(name):
            raise Unavailable(
                "the Docker daemon lost the base image as soon as it had it",
                place=f"{self.daemon.address}: {name}",
                remedy="see whether something there prunes images, and try again",
            )

    def _has(self, name: str) -> bool:
        found = self.daemon.find(name)
        return found is not None and list(found.diff_ids) == self.base.config["rootfs"]["diff_ids"]

    def _piece(self, blob: Descriptor) -> Piece:
        return Piece(blob.digest, blob.size, lambda: self._read(blob))

    def _read(self, blob: Descriptor) -> Iterator[bytes]:
        chunks = self.origin.registry.read_blob(self.origin.name, blob.digest)
        while (chunk := asyncio.run_coroutine_threadsafe(_next(chunks), self.loop).result()) is not None:
            yield chunk


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)
