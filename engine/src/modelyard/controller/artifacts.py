"""Code, models and environments of real services: `packaging` and `environments` over the workspace registry.

Heavy work runs in threads, so that the loop keeps looking after what serves.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import attrs

from modelyard.api import (
    EnvironmentSpec,
    ModelRef,
    NotFound,
    Registry,
    ServiceSpec,
    SnapshotError,
    SnapshotLimits,
    Unavailable,
    UserError,
)
from modelyard.control import wish
from modelyard.controller.ports import Built, Inspection, Kept, OnLine
from modelyard.environments import (
    Arrangement,
    RegistryLockRecords,
    Shelf,
    arrange,
    build,
    bundled_runtime,
    explain_miss,
    is_built,
)
from modelyard.host import Host
from modelyard.packaging import (
    Digests,
    Snapshot,
    materialise,
    materialise_models,
    store_code,
    store_models,
    take_model,
    take_snapshot,
)
from modelyard.processes import Home

log = logging.getLogger(__name__)

_LOOK_SECONDS = 20.0
"""What a plan may spend on resolving, well within what its caller waits."""


@attrs.frozen
class _Look:
    key: str = ""
    cached: bool = False
    isolation: str = ""
    why: str = ""


class LocalArtifacts:
    """Keeps everything under the engine's home; the registry has a copy of code, models and locks."""

    def __init__(self, home: Home, host: Host, *, registry: str, limits: SnapshotLimits) -> None:
        self._home = home
        self._host = host
        self._registry_name = registry
        self._limits = limits
        self._digests = Digests()
        self._trees = asyncio.Lock()  # model contents not yet linked look like leftovers to `discard`

    async def inspect(self, spec: ServiceSpec) -> Inspection:
        """Look; change nothing."""
        code = await asyncio.to_thread(_take_code, spec, self._limits, self._digests)
        models = await self._take_models(spec)
        seen = await self._look_up(spec)
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
        )

    async def keep(self, spec: ServiceSpec, revision: int) -> Kept:
        """Copy code and models by content, then into the registry."""
        async with self._trees:
            source = Path(spec.code.source)
            code = await asyncio.to_thread(_take_code, spec, self._limits, self._digests)
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

    async def build(self, spec: ServiceSpec, on_line: OnLine) -> Built:
        """Solve and build, or find."""
        loop = asyncio.get_running_loop()

        def tell(line: str) -> None:
            loop.call_soon_threadsafe(on_line, line)

        shelf = await self._shelf()
        asked = wish(spec)
        chosen = await arrange(spec.environment, asked.isolation, shelf=shelf, on_line=tell)
        why = asked.why or chosen.why
        path, worker_path = await build(chosen, shelf=shelf, on_line=tell)
        lock = chosen.lock
        tell(f"{len(lock.packages)} packages, lock {lock.lock_key[:12]}, isolation {chosen.isolation}")
        return Built(
            key=lock.lock_key,
            path=str(path),
            worker_path=str(worker_path or ""),
            isolation=chosen.isolation,
            isolation_why=why,
        )

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

    async def _forget(self, repository: str, tag: str) -> None:
        try:
            await self._registry().delete(repository, tag)
        except NotFound:
            return
        except (UserError, Unavailable) as failure:
            # deletion may be off there, or the server away: an old record costs disk, not a deploy
            log.warning("the registry keeps %s:%s: %s", repository, tag, failure)

    def _registry(self) -> Registry:
        registry = self._host.registries.get(self._registry_name)
        if registry is None:
            raise Unavailable(
                f"no active plugin offers the registry {self._registry_name!r}",
                place="settings.yaml: registry",
                remedy="`engine plugins list` says what became of its plugin",
            )
        return registry

    async def _take_models(self, spec: ServiceSpec) -> list[tuple[ModelRef, Snapshot]]:
        return [
            (ref, await asyncio.to_thread(take_model, Path(ref.path), digests=self._digests))
            for ref in spec.models
        ]

    async def _shelf(self) -> Shelf:
        wheel = await asyncio.to_thread(bundled_runtime)
        return Shelf(self._home, RegistryLockRecords(self._registry()), wheel)

    async def _look_up(self, spec: ServiceSpec) -> _Look:
        """Solve what was never solved: only that tells what `auto` is, and a deploy needs it anyway."""
        shelf, asked = await self._shelf(), wish(spec)
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                chosen: Arrangement = await arrange(spec.environment, asked.isolation, shelf=shelf)
                built = await is_built(chosen, shelf)
        except (TimeoutError, Unavailable) as error:
            isolation = "" if asked.isolation == "auto" else asked.isolation
            because = str(error) or "resolving takes long"
            return _Look(isolation=isolation, why=f"to be found out: {because}")
        return _Look(chosen.lock.lock_key, built, chosen.isolation, asked.why or chosen.why)


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


def _take_code(spec: ServiceSpec, limits: SnapshotLimits, digests: Digests) -> Snapshot:
    code = take_snapshot(Path(spec.code.source), limits, digests=digests)
    for needed in filter(None, (spec.code.entry, spec.code.sample)):
        if not code.holds(needed):
            raise SnapshotError(
                f"{needed} is left out of the snapshot",
                place=code.ignore_file or spec.code.source,
                remedy=f"take the pattern that matches {needed} out of the ignore file",
            )
    return code
