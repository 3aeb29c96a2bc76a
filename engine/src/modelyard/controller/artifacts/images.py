"""Images of targets that start replicas from images: an environment's, found or built, and the service's on it."""

from __future__ import annotations

import asyncio
import platform as machine
from pathlib import Path

import attrs

from modelyard.api import (
    BuildOrder,
    Candidate,
    EngineSettings,
    ImageRef,
    Platform,
    Refusal,
    Refused,
    Registry,
    ServiceSpec,
    Unavailable,
)
from modelyard.control import wish
from modelyard.controller.artifacts.bases import BaseFinder, Errand, Footing
from modelyard.controller.artifacts.building import ImageBuilding
from modelyard.controller.artifacts.extras import with_extra_requirements
from modelyard.controller.artifacts.looks import LOOK_SECONDS, Look, postponed
from modelyard.controller.ports import Built, OnLine
from modelyard.environments import RegistryLockRecords, RuntimeWheel, bundled_runtime
from modelyard.host import Host
from modelyard.images import (
    ENVIRONMENT,
    ENVIRONMENT_IMAGES,
    SCRIPT_ENVIRONMENT,
    WORK,
    Base,
    Desk,
    FolderMemo,
    Found,
    ImageArrangement,
    Repository,
    ServiceParts,
    Shelves,
    Workshop,
    arrange_image,
    build_service,
    describe,
    environments_of,
    find_base,
    find_image,
    image_lock_key,
    platform_of,
)
from modelyard.processes import Home, scratch
from modelyard.store import RevisionRecord

ARCHITECTURE = "kubernetes.io/arch"
"""The label by which a place says what its machine is; without it, it is this one."""


@attrs.frozen
class _Solved:
    footing: Footing
    arrangement: ImageArrangement
    key: str


class ImageMaker:
    """Makes a service's image; whatever is there already is not made again."""

    def __init__(self, home: Home, host: Host, settings: EngineSettings) -> None:
        self._home = home
        self._host = host
        self._shared = settings.images.shared
        self._building = ImageBuilding(
            host, preferred=settings.images.builder, compression=settings.images.compression
        )
        self._bases = BaseFinder(home, host, self._building, default=settings.images.base)

    async def build(
        self, revision: RevisionRecord, places: tuple[Candidate, ...], registry: Registry, on_line: OnLine
    ) -> Built:
        """Return the image of a revision whose code and models are kept."""
        platform = platform_for(places)
        spec = await _whole(revision.spec, Path(revision.code_dir))
        wheel = await asyncio.to_thread(bundled_runtime)
        named = await self._named(spec, platform)
        if named is not None:
            source, base = named
            on_line(f"a plugin names the image {source.name}@{base.digest[:19]}")
            image = await self._service(revision, base, source, registry, wheel, on_line)
            return _built(base.digest.removeprefix("sha256:"), image, base)
        solved = await self._solve(spec, platform, self._errand(registry, wheel, on_line))
        found = await self._environment(solved, spec, registry, on_line)
        base = await find_base(found.repository, found.manifest.digest, platform)
        image = await self._service(revision, base, found.repository, registry, wheel, on_line)
        why = wish(spec).why or solved.arrangement.why
        return attrs.evolve(_built(solved.key, image, base), isolation_why=why)

    async def look(self, spec: ServiceSpec, places: tuple[Candidate, ...], registry: Registry) -> Look:
        """Find out what a deploy would do; solves what was never solved, and builds nothing."""
        spec = await _whole(spec, Path(spec.code.source))
        asked, platform = wish(spec), platform_for(places)
        wheel = await asyncio.to_thread(bundled_runtime)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                if (named := await self._named(spec, platform)) is not None:
                    built = _built(named[1].digest, None, named[1])
                    return Look(built.key, cached=True, isolation=built.isolation, why="a plugin's image")
                errand = attrs.evolve(self._errand(registry, wheel, lambda _: None), build=False)
                solved = await self._solve(spec, platform, errand)
                found = await find_image(solved.key, self._shelves(registry))
        except (TimeoutError, Unavailable) as error:
            return postponed(asked.isolation, error)
        chosen = solved.arrangement
        return Look(solved.key, found is not None, chosen.isolation, asked.why or chosen.why)

    async def _named(self, spec: ServiceSpec, platform: Platform) -> tuple[Repository, Base] | None:
        """Ask plugins for the image; what they name must hold an environment."""
        answer = await self._host.resolve_image(spec.environment, platform)
        if answer is None:
            return None
        if isinstance(answer, Refusal):
            raise Refused((answer,))
        source = Repository(self._registry(answer.registry), answer.repository)
        base = await find_base(source, answer.digest, platform)
        environments_of(base)
        return source, base

    async def _solve(self, spec: ServiceSpec, platform: Platform, errand: Errand) -> _Solved:
        footing = await self._bases.find(spec.environment, platform, errand)
        arrangement = await arrange_image(
            footing.inputs, footing.ground, wish(spec).isolation, desk=errand.desk
        )
        steps = spec.environment.docker_steps
        key = image_lock_key(
            footing.inputs.base,
            steps,
            arrangement.pips,
            conda=footing.conda_lock,
            compression=self._building.compression,
        )
        return _Solved(footing, arrangement, key)

    def _errand(self, registry: Registry, wheel: RuntimeWheel, on_line: OnLine) -> Errand:
        desk = Desk(self._home, RegistryLockRecords(registry), wheel, on_line)
        return Errand(self._shelves(registry), desk)

    async def _environment(
        self, solved: _Solved, spec: ServiceSpec, registry: Registry, on_line: OnLine
    ) -> Found:
        footing, pips = solved.footing, solved.arrangement.pips
        order = BuildOrder(
            platform=footing.inputs.platform,
            base=footing.image,
            repository=ENVIRONMENT_IMAGES,
            tag=solved.key,
            pips=pips,
            title=f"environment of {spec.name}",
            labels=describe(footing.inputs, pips, solved.key),
        )
        base = footing.source.registry
        return await self._building.find_or_build(order, base, self._shelves(registry), on_line)

    async def _service(
        self,
        revision: RevisionRecord,
        base: Base,
        source: Repository,
        registry: Registry,
        wheel: RuntimeWheel,
        on_line: OnLine,
    ) -> ImageRef:
        parts = parts_of(revision, wheel)
        target = Repository(registry, parts.repository)
        with scratch(self._home.cache / "images", WORK) as folder:
            memo = FolderMemo(self._home.cache / "layers")
            workshop = Workshop(memo, folder, on_line, self._building.compression)
            manifest = await build_service(parts, base, source=source, target=target, workshop=workshop)
        on_line(f"image {target.name}@{manifest.digest[:19]}")
        return ImageRef(registry.name, target.name, manifest.digest)

    def _shelves(self, registry: Registry) -> Shelves:
        shared = tuple(self._registry(name) for name in self._shared)
        return Shelves(registry, shared, self._home.cache / "images")

    def _registry(self, name: str) -> Registry:
        registry = self._host.registries.get(name)
        if registry is None:
            raise Unavailable(
                f"no active plugin offers the registry {name!r}",
                place="images",
                remedy="`engine plugins list` says what became of its plugin",
            )
        return registry


def platform_for(places: tuple[Candidate, ...]) -> Platform:
    """Give the platform of the places where replicas could run, the first that says what it is."""
    said = [one.labels[ARCHITECTURE] for one in places if ARCHITECTURE in one.labels]
    return platform_of(said[0] if said else machine.machine())


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


async def _whole(spec: ServiceSpec, code: Path) -> ServiceSpec:
    environment = await asyncio.to_thread(with_extra_requirements, spec, code)
    return attrs.evolve(spec, environment=environment)


def _built(key: str, image: ImageRef | None, base: Base) -> Built:
    inside = {one.prefix for one in environments_of(base)}
    own = SCRIPT_ENVIRONMENT in inside
    return Built(
        key=key,
        path=str(ENVIRONMENT),
        worker_path=str(SCRIPT_ENVIRONMENT) if own else "",
        isolation="process" if own else "thread",
        image=image,
    )
