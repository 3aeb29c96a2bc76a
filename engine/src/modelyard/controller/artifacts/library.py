"""What `engine images` asks, over the workspace's registry and those it shares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import attrs

from modelyard.api import (
    EngineSettings,
    ImageDetails,
    ImageOutlook,
    ImageSummary,
    LockReport,
    NotFound,
    Progress,
    PruneReport,
    Registry,
    ServiceSpec,
    Target,
    TransferReport,
    UserError,
)
from modelyard.controller.artifacts.catalogue import list_images, show_image
from modelyard.controller.artifacts.environments import EnvironmentMaker
from modelyard.controller.artifacts.images import ImageMaker
from modelyard.controller.artifacts.locking import Locking, LockOrder, platform_asked
from modelyard.controller.artifacts.looks import Look
from modelyard.controller.artifacts.pruning import Pruning
from modelyard.controller.artifacts.registries import registry_named
from modelyard.controller.artifacts.scanning import with_vulnerabilities
from modelyard.controller.artifacts.telling import Tell, line_by_line, told
from modelyard.controller.artifacts.transfers import Transfers
from modelyard.controller.artifacts.uses import Leasing
from modelyard.controller.memory import recent_keys
from modelyard.controller.ports import History
from modelyard.environments import explain_nearest
from modelyard.host import Host
from modelyard.processes import Home
from modelyard.store import RevisionRecord

HERE = "this machine"


@attrs.frozen
class Makers:
    """Who solves and builds for each kind of target."""

    environments: EnvironmentMaker
    images: ImageMaker


class LocalImages:
    """Looks at registries, copies between them, locks and prunes."""

    def __init__(
        self,
        home: Home,
        host: Host,
        settings: EngineSettings,
        makers: Makers,
        leasing: Leasing,
        history: History,
    ) -> None:
        self._home = home
        self._host = host
        self._settings = settings
        self._makers = makers
        self._leasing = leasing
        self._history = history

    async def list(self, registry: str) -> tuple[ImageSummary, ...]:
        """List the images of a registry; empty = the workspace's."""
        return await list_images(self._named(registry), self._history())

    async def show(self, name: str) -> ImageDetails:
        """Show an image of the workspace's registry."""
        shared = [self._named(one) for one in self._settings.images.shared]
        image = await show_image(name, self._workspace(), shared, self._history())
        return await asyncio.to_thread(with_vulnerabilities, image, self._home, self._settings.images)

    async def why(self, spec: ServiceSpec) -> ImageOutlook:
        """Say whether a deploy would find what its replicas start from, and if not, why."""
        target, workspace, history = self._target(spec), self._workspace(), self._history()
        if target.artifact == "image":
            recent = recent_keys(history)
            seen = await self._makers.images.look(spec, await target.candidates(), workspace, recent=recent)
        else:
            seen = await self._makers.environments.look(spec, workspace)
            seen = _explained(seen, spec, history)
        return ImageOutlook(
            service=spec.name,
            kind=target.artifact,
            key=seen.key,
            found=seen.cached,
            place=seen.place,
            why=seen.miss if seen.key and not seen.cached else seen.why if not seen.key else "",
        )

    def lock(self, spec: ServiceSpec, *, platform: str) -> AsyncIterator[Progress[LockReport]]:
        """Solve what is unsolved and keep the locks."""
        order = LockOrder(spec, self._target(spec), platform_asked(platform))
        return self._locked(order)

    def refresh(
        self, spec: ServiceSpec, *, platform: str, dry_run: bool, expected: str
    ) -> AsyncIterator[Progress[LockReport]]:
        """Solve again; keep it unless it is a dry run."""
        order = LockOrder(
            spec,
            self._target(spec),
            platform_asked(platform),
            refresh=True,
            dry_run=dry_run,
            expected=expected,
        )
        return self._locked(order)

    def pull(self, reference: str, *, key: str) -> AsyncIterator[Progress[TransferReport]]:
        """Copy an environment's image into the workspace's registry."""
        transfers, workspace = self._transfers(), self._workspace()
        return told(lambda tell: transfers.pull(reference, key, workspace, tell))

    def push(self, key: str, *, registry: str) -> AsyncIterator[Progress[TransferReport]]:
        """Copy an environment's image of the workspace's registry to another one."""
        transfers, workspace, target = self._transfers(), self._workspace(), self._named(registry)
        return told(lambda tell: transfers.push(key, target, workspace, tell))

    def prune(self, *, keep_days: float, dry_run: bool) -> AsyncIterator[Progress[PruneReport]]:
        """Remove what no revision refers to and what was not used for so long."""
        if keep_days < 0:
            raise UserError(f"{keep_days:g} days cannot be kept", place="keep_days", remedy="give 0 or more")
        pruning = Pruning(self._workspace(), self._leasing, self._home.cache / "images", self._history)
        return told(lambda tell: pruning.prune(keep_days, dry_run=dry_run, on_line=line_by_line(tell)))

    def _locked(self, order: LockOrder) -> AsyncIterator[Progress[LockReport]]:
        locking = Locking(self._home, self._makers.environments, self._makers.images)
        workspace = self._workspace()

        async def work(tell: Tell[LockReport]) -> LockReport:
            return await locking.lock(order, workspace, line_by_line(tell))

        return told(work)

    def _transfers(self) -> Transfers:
        return Transfers(self._home, self._host, self._leasing, self._history)

    def _workspace(self) -> Registry:
        return registry_named(self._host, self._settings.registry, place="settings.yaml: registry")

    def _named(self, name: str) -> Registry:
        if not name:
            return self._workspace()
        if name not in self._host.registries:
            there = ", ".join(sorted(self._host.registries)) or "none"
            raise NotFound(f"no registry is named {name!r}", remedy=f"there are: {there}")
        return self._host.registries[name]

    def _target(self, spec: ServiceSpec) -> Target:
        target = self._host.targets.get(spec.target)
        if target is None:
            there = ", ".join(sorted(self._host.targets)) or "none"
            raise NotFound(
                f"no target is named {spec.target!r}", place="target", remedy=f"there are: {there}"
            )
        return target


def _explained(seen: Look, spec: ServiceSpec, history: Sequence[RevisionRecord]) -> Look:
    if not seen.key:
        return seen
    if seen.cached:
        return attrs.evolve(seen, place=HERE)
    known = [one.spec.environment for one in history if one.environment_key and one.image is None]
    return attrs.evolve(seen, miss=explain_nearest(known, spec.environment))
