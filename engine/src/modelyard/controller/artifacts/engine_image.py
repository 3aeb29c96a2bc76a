"""Build the engine's own image: gather wheels, solve for a base what they need, and put both into a registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from modelyard.api import (
    BasePython,
    BuildOrder,
    EngineImage,
    EngineImageOrder,
    EngineSettings,
    EnvironmentSpec,
    NotFound,
    PipLayer,
    Platform,
    Progress,
    Registry,
)
from modelyard.controller.artifacts.bases import BaseFinder, Context, Errand, Footing
from modelyard.controller.artifacts.building import ImageBuilding
from modelyard.controller.artifacts.engine_orders import check_release, platform_asked, read_tag
from modelyard.controller.artifacts.registries import registry_named
from modelyard.controller.artifacts.telling import Tell, line_by_line, told
from modelyard.controller.artifacts.trusting import Trust
from modelyard.controller.artifacts.uses import Leasing
from modelyard.controller.ports import OnLine
from modelyard.environments import (
    Asked,
    Gathered,
    RegistryLockRecords,
    bundled_runtime,
    check_base,
    gather_folder,
    gather_installed,
    parse_pins,
    requirements_of,
    solve_for_base,
)
from modelyard.host import Host
from modelyard.images import (
    ENGINE,
    ENGINES,
    ENVIRONMENT_IMAGES,
    Desk,
    EngineParts,
    FolderMemo,
    Found,
    Inputs,
    KnownBases,
    Repository,
    Shelves,
    Workshop,
    bill_upon,
    build_engine,
    choose_python,
    describe,
    find_image,
    image_lock_key,
    image_spec_key,
    package_of,
    working,
)
from modelyard.processes import FileLock, Home, disk_errors

_LOCK_SECONDS = 3600.0
"""One build at a time: whoever comes second waits as long as a large image may take."""


class EngineImages:
    """Builds the engine's own image; what was made before is not made again."""

    def __init__(self, home: Home, host: Host, settings: EngineSettings, leasing: Leasing) -> None:
        self._home = home
        self._host = host
        self._leasing = leasing
        self._trust = Trust(settings.images)
        self._settings = settings
        self._building = ImageBuilding(
            host, preferred=settings.images.builder, compression=settings.images.compression
        )
        self._known = KnownBases()
        self._bases = BaseFinder(home, host, self._building, self._known, settings.images)

    def build(self, order: EngineImageOrder) -> AsyncIterator[Progress[EngineImage]]:
        """Tell each step, and last the image."""

        async def work(tell: Tell[EngineImage]) -> EngineImage:
            say = line_by_line(tell)
            workspace = self._registry(self._settings.registry, "settings.yaml: registry")
            named = order.registry and self._registry(order.registry, "--registry")
            asked = _Asked(order, platform_asked(order.platform), workspace, named or workspace, say)
            async with self._alone() as folder:
                return await self._build(asked, folder)

        return told(work)

    async def _build(self, asked: _Asked, folder: Path) -> EngineImage:
        gathered = await asyncio.to_thread(_gather, asked.order.wheels, folder)
        check_release(gathered.version, asked.order.wheels)
        asked.say(f"{len(gathered.wheels)} wheels of modelyard {gathered.version}")
        for one in gathered.left_out:
            asked.say(f"left out: {one}")
        tag = read_tag(asked.order.tag, gathered.version)
        solved = await self._solve(asked, gathered)
        image = await self._outlook(asked, gathered, solved, tag)
        if asked.order.dry_run:
            return image
        before = await _digest(asked.target, ENGINES, image.tag)
        digest = await self._assemble(asked, gathered, solved, image, folder)
        address = asked.target.address(ENGINES)
        return attrs.evolve(
            image,
            digest=digest,
            address=f"{address}@{digest}" if address else "",
            unchanged=digest == before,
        )

    async def _solve(self, asked: _Asked, gathered: Gathered) -> _Solved:
        """Find the base and its Python, and solve for it what the wheels need, or take what was solved before."""
        records = RegistryLockRecords(asked.workspace)
        # The desk is for docker steps and conda, of which there are none here.
        desk = Desk(self._home, records, await asyncio.to_thread(bundled_runtime), asked.say)
        wanted = EnvironmentSpec(base=asked.order.base or None)
        errand = Errand(self._shelves(asked.workspace), desk, Context(self._home.state, ""))
        footing = await self._bases.find(wanted, asked.platform, errand)
        python = choose_python(
            footing.ground.pythons, None, serving=True, base=footing.inputs.spec.base or ""
        )
        check_base(python, ENGINE, serving=False)
        needs = requirements_of(gathered.wheels, python)
        inputs = attrs.evolve(footing.inputs, spec=attrs.evolve(footing.inputs.spec, requirements=needs))
        lock = await solve_for_base(
            Asked(needs),
            python,
            key=image_spec_key(inputs),
            runtime=None,
            home=self._home,
            records=records,
            on_line=asked.say,
        )
        pip = PipLayer(ENGINE, python, lock, serving=False)
        return _Solved(
            footing, inputs, pip, image_lock_key(inputs.base, [pip], compression=self._building.compression)
        )

    async def _outlook(self, asked: _Asked, gathered: Gathered, solved: _Solved, tag: str) -> EngineImage:
        """Say what a build would make."""
        found = await find_image(solved.key, self._shelves(asked.workspace))
        address = asked.target.address(ENGINES)
        return EngineImage(
            registry=asked.target.name,
            repository=ENGINES,
            tag=tag,
            digest="",
            address=f"{address}:{tag}" if address else "",
            version=gathered.version,
            revision=asked.order.revision or gathered.revision,
            platform=str(asked.platform),
            base=solved.inputs.spec.base or "",
            base_digest=solved.inputs.base,
            python=solved.python.version,
            wheels=tuple(one.path.name for one in gathered.wheels),
            left_out=gathered.left_out,
            packages=len(parse_pins(solved.pip.lock)),
            environment_key=solved.key,
            environment_found=found is not None,
        )

    async def _assemble(
        self, asked: _Asked, gathered: Gathered, solved: _Solved, image: EngineImage, folder: Path
    ) -> str:
        order = BuildOrder(
            platform=asked.platform,
            base=solved.footing.image,
            repository=ENVIRONMENT_IMAGES,
            tag=solved.key,
            pips=(solved.pip,),
            title="environment of the engine",
            labels=describe(solved.inputs, [solved.pip], solved.key),
        )
        shelves = self._shelves(asked.workspace)
        with self._leasing.using(asked.workspace) as uses:  # until the image itself says what it stands on
            await uses.take(ENVIRONMENT_IMAGES, solved.key)
            found = await self._building.find_or_build(
                order, solved.footing.source.registry, shelves, asked.say
            )
            return await self._put_together(asked, gathered, image, found, folder)

    async def _put_together(
        self, asked: _Asked, gathered: Gathered, image: EngineImage, found: Found, folder: Path
    ) -> str:
        base = await self._known.find(found.repository, found.manifest.digest, asked.platform)
        target = Repository(asked.target, ENGINES)
        memo = FolderMemo(self._home.cache / "layers")
        manifest = await build_engine(
            EngineParts(gathered.wheels, gathered.version, image.revision),
            base,
            source=found.repository,
            target=target,
            tag=image.tag,
            workshop=Workshop(memo, folder, asked.say, self._building.compression),
        )
        own = [package_of(one.path, one.digest) for one in gathered.wheels]
        await bill_upon(manifest, base, own, source=found.repository, target=target)
        await self._trust.sign(manifest, target)
        return manifest.digest

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[Path]:
        """Give an empty folder to whoever builds; the others wait."""
        work = self._home.cache / "images"
        with disk_errors(work):
            await asyncio.to_thread(work.mkdir, parents=True, exist_ok=True)
        async with (
            FileLock(work / "engine.lock", timeout_seconds=_LOCK_SECONDS),
            working(work) as folder,
        ):
            yield folder

    def _shelves(self, workspace: Registry) -> Shelves:
        shared = tuple(
            self._registry(one, "settings.yaml: images.shared") for one in self._settings.images.shared
        )
        return Shelves(workspace, shared, self._home.cache / "images")

    def _registry(self, name: str, place: str) -> Registry:
        return registry_named(self._host, name, place=place)


@attrs.frozen
class _Asked:
    order: EngineImageOrder
    platform: Platform
    workspace: Registry
    target: Registry
    say: OnLine


@attrs.frozen
class _Solved:
    footing: Footing
    inputs: Inputs
    pip: PipLayer
    key: str

    @property
    def python(self) -> BasePython:
        return self.pip.python


def _gather(wheels: str, folder: Path) -> Gathered:
    if wheels:
        return gather_folder(Path(wheels))
    repacked = folder / "repacked"
    with disk_errors(repacked):
        repacked.mkdir()
        return gather_installed(repacked)


async def _digest(registry: Registry, repository: str, tag: str) -> str:
    """Say what a tag names; empty = nothing."""
    try:
        return (await registry.resolve(repository, tag)).digest
    except NotFound:
        return ""
