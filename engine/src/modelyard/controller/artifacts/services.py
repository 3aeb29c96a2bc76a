"""The image of a service: its layers are stored while its environment is found or built, and named at the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs

from modelyard.api import Compression, ImageRef, PipLayer, Registry
from modelyard.controller.artifacts.trusting import Trust
from modelyard.controller.ports import OnLine
from modelyard.environments import RuntimeWheel, bundled_runtime
from modelyard.images import (
    Base,
    FolderMemo,
    Inside,
    Repository,
    ServiceParts,
    UnderWay,
    Workshop,
    bill_upon,
    build_service,
    package_of,
    prepare_service,
    send_code,
    store_models,
    working,
)
from modelyard.processes import Home
from modelyard.store import RevisionRecord


@attrs.frozen
class ServiceImages:
    """Makes the images of services, signs them, and says what they are made of."""

    home: Home
    trust: Trust
    compression: Compression = "gzip"

    def making(
        self, revision: RevisionRecord, registry: Registry, wheel: RuntimeWheel, on_line: OnLine
    ) -> Making:
        """Begin to make a revision's image; what is returned is a context manager."""
        return Making(self, parts_of(revision, wheel), registry, on_line)

    async def attest(self, image: ImageRef, base: Base, source: Repository, registry: Registry) -> None:
        """Keep the bill of materials of an image on a base beside it, unless it is there already."""
        target = Repository(registry, image.repository)
        manifest = await registry.resolve(image.repository, image.digest)
        wheel = await asyncio.to_thread(bundled_runtime)
        own = [package_of(wheel.path, wheel.digest)]
        await bill_upon(manifest, base, own, source=source, target=target)


@attrs.define
class Making:
    """One image being made. At the end of its block nothing of it is left on disk, and nothing runs any more."""

    images: ServiceImages
    parts: ServiceParts
    registry: Registry
    on_line: OnLine
    _stack: contextlib.AsyncExitStack = attrs.field(factory=contextlib.AsyncExitStack, init=False)
    _workshop: Workshop | None = attrs.field(default=None, init=False)
    _code: asyncio.Task[UnderWay] | None = attrs.field(default=None, init=False)
    _stored: list[asyncio.Task[None]] = attrs.field(factory=list, init=False)

    async def __aenter__(self) -> Self:
        home = self.images.home
        folder = await self._stack.enter_async_context(working(home.cache / "images"))
        memo = FolderMemo(home.cache / "layers")
        self._workshop = Workshop(memo, folder, self.on_line, self.images.compression)
        self._code = asyncio.create_task(
            send_code(self.parts, target=self._target, workshop=self._workshop),
            name=f"code of {self.parts.name}",
        )
        self._meanwhile(store_models(self.parts, target=self._target, workshop=self._workshop))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await _end(self._code, *self._stored)
        if self._code and not self._code.cancelled() and not self._code.exception():
            await _end(self._code.result().sent)
        await self._stack.aclose()

    def prepare(self, pips: Sequence[PipLayer]) -> None:
        """Store the layer of the runtime meanwhile; `pips` are what its environment's image will hold."""
        server = next(one for one in pips if one.serving)
        inside = Inside(server.prefix, server.python, serving=True)
        self._meanwhile(prepare_service(self.parts, inside, target=self._target, workshop=self._shop))

    async def build(self, base: Base, source: Repository) -> ImageRef:
        """Put the image together on its environment's, and sign it."""
        assert self._code is not None  # noqa: S101  the block was entered
        await asyncio.gather(*self._stored)
        manifest = await build_service(
            self.parts,
            base,
            source=source,
            target=self._target,
            workshop=self._shop,
            code=await self._code,
        )
        await self.images.trust.sign(manifest, self._target)
        self.on_line(f"image {self._target.name}@{manifest.digest[:19]}")
        return ImageRef(self.registry.name, self._target.name, manifest.digest)

    def _meanwhile(self, work: Coroutine[None, None, None]) -> None:
        self._stored.append(asyncio.create_task(work, name=f"layers of {self.parts.name}"))

    @property
    def _target(self) -> Repository:
        return Repository(self.registry, self.parts.repository)

    @property
    def _shop(self) -> Workshop:
        assert self._workshop is not None  # noqa: S101  the block was entered
        return self._workshop


async def _end(*tasks: asyncio.Task[Any] | None) -> None:
    running = [one for one in tasks if one]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def parts_of(revision: RevisionRecord, wheel: RuntimeWheel) -> ServiceParts:
    """Put together what a revision's image holds."""
    models = zip(revision.spec.models, revision.model_digests, strict=True)
    return ServiceParts(
        name=revision.service,
        revision=revision.number,
        code=Path(revision.code_dir),
        code_digest=revision.code_digest,
        models=Path(revision.models_root) if revision.models_root else None,
        model_names=tuple(f"{one.folder}/{Path(one.path).name}={digest}" for one, digest in models),
        runtime=wheel,
    )
