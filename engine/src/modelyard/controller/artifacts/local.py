"""Code and models of real services, and what their replicas start from, over the workspace's registry.

Heavy work runs in threads, so that the loop keeps looking after what serves.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from modelyard.api import (
    EngineSettings,
    EnvironmentSpec,
    ModelRef,
    NotFound,
    Registry,
    ServiceSpec,
    Target,
    Unavailable,
    UserError,
)
from modelyard.controller.artifacts.code import take_code
from modelyard.controller.artifacts.environments import EnvironmentMaker
from modelyard.controller.artifacts.images import ImageMaker
from modelyard.controller.artifacts.library import LocalImages, Makers
from modelyard.controller.artifacts.looks import Look
from modelyard.controller.artifacts.registries import registry_named
from modelyard.controller.artifacts.uses import Leasing
from modelyard.controller.ports import Built, History, Inspection, Kept, OnLine
from modelyard.environments import explain_miss
from modelyard.host import Host
from modelyard.images import SERVICES
from modelyard.packaging import (
    Digests,
    Snapshot,
    materialise,
    materialise_models,
    store_code,
    store_models,
    take_model,
)
from modelyard.processes import Home
from modelyard.store import RevisionRecord

log = logging.getLogger(__name__)


class LocalArtifacts:
    """Keeps everything under the engine's home; the registry has a copy of code, models and locks."""

    def __init__(self, home: Home, host: Host, settings: EngineSettings) -> None:
        self._home = home
        self._host = host
        self._registry_name = settings.registry
        self._limits = settings.snapshot
        self._settings = settings
        self.leasing = Leasing(home)
        self._environments = EnvironmentMaker(home, self.leasing)
        self._images = ImageMaker(home, host, settings, self.leasing)
        self._digests = Digests()
        self._trees = asyncio.Lock()  # model contents not yet linked look like leftovers to `discard`

    def images(self, history: History) -> LocalImages:
        """Give what `engine images` asks, over the same folders and registries."""
        makers = Makers(self._environments, self._images)
        return LocalImages(self._home, self._host, self._settings, makers, self.leasing, history)

    async def inspect(
        self, spec: ServiceSpec, target: Target, *, frozen: bool = False, recent: Sequence[str] = ()
    ) -> Inspection:
        """Look; change nothing."""
        code = await asyncio.to_thread(take_code, spec, self._limits, self._digests)
        models = await self._take_models(spec)
        seen = await self._look(spec, target, frozen=frozen, recent=recent)
        return Inspection(
            code_digest=code.digest,
            files=len(code.files),
            total_bytes=code.total_bytes,
            left_out=code.left_out,
            model_digests=tuple(snapshot.digest for _, snapshot in models),
            environment_key=seen.key,
            environment_cached=seen.cached,
            isolation=seen.isolation,
            isolation_why=seen.why,
            environment_why=seen.miss,
            base=seen.base,
        )

    async def keep(self, spec: ServiceSpec, revision: int) -> Kept:
        """Copy code and models by content, then into the registry."""
        async with self._trees:
            source = Path(spec.code.source)
            code = await asyncio.to_thread(take_code, spec, self._limits, self._digests)
            tree = await asyncio.to_thread(materialise, source, code, self._home.snapshots)
            models = await self._take_models(spec)
            root, model_dir = await asyncio.to_thread(
                materialise_models, models, self._home.models, self._home.models / "trees"
            )
        registry = self._registry()
        await store_code(registry, spec.name, revision, code, tree)
        for ref, snapshot in models:
            await store_models(registry, ref, snapshot, self._home.models)
        return Kept(
            code_digest=code.digest,
            code_dir=str(tree),
            model_digests=tuple(snapshot.digest for _, snapshot in models),
            model_dir=model_dir,
            models_root=root,
        )

    async def build(self, revision: RevisionRecord, target: Target, on_line: OnLine) -> Built:
        """Make a folder or an image, whichever the target's replicas start from."""
        loop = asyncio.get_running_loop()

        def tell(line: str) -> None:
            loop.call_soon_threadsafe(on_line, line)

        registry = self._registry()
        if target.artifact == "image":
            return await self._images.build(revision, await target.candidates(), registry, tell)
        return await self._environments.build(revision.spec, registry, tell, frozen=revision.frozen)

    async def attest(self, revision: RevisionRecord, target: Target) -> None:
        """Keep what is known of a revision's image beside it."""
        await self._images.attest(revision, await target.candidates(), self._registry())

    def explain_miss(self, old: EnvironmentSpec | None, new: EnvironmentSpec) -> str:
        """Say which input makes `new` another environment."""
        return explain_miss(old, new)

    async def discard(self, service: str, revisions: Sequence[int], folders: Sequence[str]) -> None:
        """Remove trees, and the registry's records as far as it lets go of them."""
        async with self._trees:
            await asyncio.to_thread(_remove_trees, [Path(one) for one in folders])
            await asyncio.to_thread(_remove_unlinked, self._home.models / "blobs")
        for number in revisions:
            await self._forget(f"code/{service}", str(number))
            await self._forget(f"{SERVICES}/{service}", str(number))

    async def _forget(self, repository: str, tag: str) -> None:
        try:
            await self._registry().delete(repository, tag)
        except NotFound:
            return
        except (UserError, Unavailable) as failure:
            # deletion may be off there, or the server away: an old record costs disk, not a deploy
            log.warning("the registry keeps %s:%s: %s", repository, tag, failure)

    def _registry(self) -> Registry:
        return registry_named(self._host, self._registry_name, place="settings.yaml: registry")

    async def _take_models(self, spec: ServiceSpec) -> list[tuple[ModelRef, Snapshot]]:
        return [
            (ref, await asyncio.to_thread(take_model, Path(ref.path), digests=self._digests))
            for ref in spec.models
        ]

    async def _look(self, spec: ServiceSpec, target: Target, *, frozen: bool, recent: Sequence[str]) -> Look:
        registry = self._registry()
        if target.artifact == "image":
            places = await target.candidates()
            return await self._images.look(spec, places, registry, frozen=frozen, recent=recent)
        return await self._environments.look(spec, registry, frozen=frozen)


def _remove_trees(trees: Sequence[Path]) -> None:
    for tree in trees:
        for folder, _, _ in os.walk(tree):
            Path(folder).chmod(0o700)  # trees are read-only
        shutil.rmtree(tree, ignore_errors=True)


def _remove_unlinked(blobs: Path) -> None:
    """Remove model contents that no tree has a link to."""
    if not blobs.is_dir():
        return
    for blob in blobs.iterdir():
        if blob.stat().st_nlink == 1:
            blob.unlink(missing_ok=True)
