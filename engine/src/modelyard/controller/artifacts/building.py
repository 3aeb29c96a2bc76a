"""Have an image found, or built by the builder that can, and tell plugins of it."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from modelyard.api import (
    BuildOrder,
    BuildSite,
    Compression,
    Descriptor,
    ImageBuilder,
    ImageBuilt,
    ImageRef,
    ModelyardError,
    PluginFailed,
    Refusal,
    Refused,
    Registry,
)
from modelyard.controller.ports import OnLine
from modelyard.host import Host
from modelyard.images import Found, Repository, Shelves, find_or_build

log = logging.getLogger(__name__)


class ImageBuilding:
    """Looks for images in the workspace's registry, then in the shared ones, then has them built."""

    def __init__(self, host: Host, *, preferred: str, compression: Compression = "gzip") -> None:
        self._host = host
        self._preferred = preferred
        self.compression: Compression = compression

    async def find_or_build(
        self, order: BuildOrder, base: Registry, shelves: Shelves, on_line: OnLine
    ) -> Found:
        """Return the image of an order; who is asked for the same one at the same time waits."""
        builder = self.builder_for(order)  # refused before anything is tried

        async def build(target: Repository, folder: Path) -> Descriptor:
            on_line(f"no registry has {order.repository}:{order.tag[:12]}; {builder.name} builds it")
            site = BuildSite(
                base=base,
                workspace=target.registry,
                folder=folder,
                on_line=on_line,
                compression=self.compression,
            )
            return await self._build(builder, order, site)

        return await find_or_build(order.tag, shelves, build, order.repository)

    def builder_for(self, order: BuildOrder) -> ImageBuilder:
        """Pick the builder for an order. Raises `Refused` with every builder's reason."""
        names = sorted(self._host.image_builders, key=lambda name: (name != self._preferred, name))
        refusals: list[Refusal] = []
        for name in names:
            refusal = self._host.image_builders[name].can_build(order)
            if refusal is None:
                return self._host.image_builders[name]
            refusals.append(refusal)
        raise Refused(tuple(refusals) or (_nobody(),))

    async def _build(self, builder: ImageBuilder, order: BuildOrder, site: BuildSite) -> Descriptor:
        started = time.monotonic()
        try:
            manifest = await builder.build(order, site)
        except ModelyardError:
            raise
        except Exception as error:
            plugin = self._host.owner("image_builders", builder.name)
            log.warning("builder %s failed", builder.name, exc_info=error)
            raise PluginFailed(plugin, f"image_builders:{builder.name}.build", str(error)) from error
        image = ImageRef(site.workspace.name, order.repository, manifest.digest)
        seconds = time.monotonic() - started
        site.on_line(f"built and pushed {image.repository}@{image.digest[:19]} in {seconds:.1f} s")
        await self._host.notify(ImageBuilt(image, order.tag, builder.name, seconds))
        return manifest


def _nobody() -> Refusal:
    return Refusal(
        plugin="engine",
        code="no_image_builder",
        message="no active plugin builds images",
        remedy="`engine plugins list` says what became of them",
    )
