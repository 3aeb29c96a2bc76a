"""Images of targets that start replicas from images: an environment's, found or built, and the service's on it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
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
    UserError,
)
from modelyard.control import wish
from modelyard.controller.artifacts.bases import BaseFinder, Context, Errand, Footing, NotBuilt
from modelyard.controller.artifacts.building import ImageBuilding
from modelyard.controller.artifacts.code import take_code
from modelyard.controller.artifacts.extras import with_extra_requirements
from modelyard.controller.artifacts.looks import LOOK_SECONDS, Look, postponed
from modelyard.controller.artifacts.nearest import Nearest
from modelyard.controller.artifacts.places import check_compression, check_layers, platform_for
from modelyard.controller.artifacts.registries import registry_named
from modelyard.controller.artifacts.services import ServiceImages
from modelyard.controller.artifacts.trusting import Trust
from modelyard.controller.artifacts.uses import Leasing, Uses
from modelyard.controller.ports import Built, OnLine
from modelyard.environments import LOCKS, LockTexts, RegistryLockRecords, bundled_runtime
from modelyard.host import Host
from modelyard.images import (
    BASE_IMAGES,
    ENVIRONMENT,
    ENVIRONMENT_IMAGES,
    SCRIPT_ENVIRONMENT,
    Base,
    Desk,
    Found,
    ImageArrangement,
    KnownBases,
    Repository,
    Shelves,
    arrange_image,
    copies_files,
    describe,
    environments_of,
    find_image,
    image_lock_key,
    keep_locks,
)
from modelyard.packaging import Digests
from modelyard.processes import Home
from modelyard.store import RevisionRecord


@attrs.frozen
class Solved:
    """What a specification came to on its base, and the key of its image."""

    footing: Footing
    arrangement: ImageArrangement
    key: str


class ImageMaker:
    """Makes a service's image; whatever is there already is not made again."""

    def __init__(
        self, home: Home, host: Host, settings: EngineSettings, leasing: Leasing | None = None
    ) -> None:
        self._home = home
        self._host = host
        self._leasing = leasing or Leasing(home)
        self._shared = settings.images.shared
        self._trust = Trust(settings.images)
        self._building = ImageBuilding(
            host, preferred=settings.images.builder, compression=settings.images.compression
        )
        self._known, self._texts = KnownBases(), LockTexts()
        self._bases = BaseFinder(home, host, self._building, self._known, settings.images)
        self._services = ServiceImages(home, self._trust, settings.images.compression)
        self._nearest = Nearest()
        self._limits = settings.snapshot
        self._digests = Digests()

    async def build(
        self, revision: RevisionRecord, places: tuple[Candidate, ...], registry: Registry, on_line: OnLine
    ) -> Built:
        """Return the image of a revision whose code and models are kept."""
        with self._leasing.using(registry) as uses:
            built = await self._build(revision, places, registry, on_line, uses)
            return attrs.evolve(built, locks=uses.locks)

    async def _build(
        self,
        revision: RevisionRecord,
        places: tuple[Candidate, ...],
        registry: Registry,
        on_line: OnLine,
        uses: Uses,
    ) -> Built:
        check_compression(places, self._building.compression)
        platform = platform_for(places)
        spec = await _whole(revision.spec, Path(revision.code_dir))
        wheel = await asyncio.to_thread(bundled_runtime)
        making = self._services.making(revision, registry, wheel, on_line)
        named = await self._named(spec, platform)
        if named is not None:
            source, base = named
            check_layers(places, base)
            on_line(f"a plugin names the image {source.name}@{base.digest[:19]}")
            async with making:
                image = await making.build(base, source)
            return _built(base.digest.removeprefix("sha256:"), image, base)
        records = uses.noted(RegistryLockRecords(registry, self._texts))
        desk = Desk(self._home, records, wheel, on_line, frozen=revision.frozen)
        context = Context(Path(revision.code_dir), revision.code_digest)
        errand = Errand(self._shelves(registry), desk, context, accept=partial(check_layers, places))
        async with making:
            solved = await self._solve(spec, platform, errand)
            making.prepare(solved.arrangement.pips)
            found = await self._environment(solved, spec, registry, on_line, uses)
            base = await self._known.find(found.repository, found.manifest.digest, platform)
            image = await making.build(base, found.repository)
        why = wish(spec).why or solved.arrangement.why
        return attrs.evolve(_built(solved.key, image, base), isolation_why=why)

    async def attest(
        self, revision: RevisionRecord, places: tuple[Candidate, ...], registry: Registry
    ) -> None:
        """Keep the bill of materials of a revision's image beside it, unless it is there already."""
        below = await self._below(revision, platform_for(places), registry)
        if below is not None and revision.image is not None:
            source, base = below
            await self._services.attest(revision.image, base, source, self._registry(revision.image.registry))

    async def look(
        self,
        spec: ServiceSpec,
        places: tuple[Candidate, ...],
        registry: Registry,
        *,
        frozen: bool = False,
        recent: Sequence[str] = (),
    ) -> Look:
        """Find out what a deploy would do; solves what was never solved, and builds nothing.

        `recent` has the keys of images that services use, the newest first: a miss is told against those first.
        """
        check_compression(places, self._building.compression)
        spec = await _whole(spec, Path(spec.code.source))
        asked, platform = wish(spec), platform_for(places)
        wheel = await asyncio.to_thread(bundled_runtime)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                if (named := await self._named(spec, platform)) is not None:
                    check_layers(places, named[1])
                    built = _built(named[1].digest, None, named[1])
                    place = named[0].registry.name
                    return Look(built.key, True, built.isolation, "a plugin's image", place=place)
                desk = Desk(
                    self._home,
                    RegistryLockRecords(registry, self._texts),
                    wheel,
                    lambda _: None,
                    frozen=frozen,
                )
                errand = Errand(
                    self._shelves(registry),
                    desk,
                    await self._context(spec),
                    build=False,
                    accept=partial(check_layers, places),
                )
                solved = await self._solve(spec, platform, errand)
                found = await find_image(solved.key, self._shelves(registry))
        except NotBuilt as error:
            miss = await self._nearest.why(error.inputs, self._shelves(registry), recent)
            return attrs.evolve(postponed(asked.isolation, error), miss=miss, base=error.vouched)
        except (TimeoutError, Unavailable) as error:
            return postponed(asked.isolation, error)
        chosen, shelves = solved.arrangement, self._shelves(registry)
        return Look(
            solved.key,
            found is not None,
            chosen.isolation,
            asked.why or chosen.why,
            miss="" if found else await self._nearest.why(solved.footing.inputs, shelves, recent),
            place=found.repository.registry.name if found else "",
            base=solved.footing.vouched,
        )

    async def lock(self, spec: ServiceSpec, platform: Platform, registry: Registry, desk: Desk) -> Solved:
        """Solve what the desk lets solve for a platform, and build nothing, no base either."""
        spec = await _whole(spec, Path(spec.code.source))
        if await self._named(spec, platform) is not None:
            raise UserError(
                "a plugin names the image of this service: there is nothing to lock",
                place=spec.name,
                remedy="`engine images why` says which image it is",
            )
        errand = Errand(self._shelves(registry), desk, await self._context(spec), build=False)
        return await self._solve(spec, platform, errand)

    async def _context(self, spec: ServiceSpec) -> Context:
        """Give the code's folder, and its digest where docker steps read it."""
        environment, folder = spec.environment, Path(spec.code.source)
        if not copies_files([*environment.docker_steps, environment.dockerfile or ""]):
            return Context(folder, "")
        code = await asyncio.to_thread(take_code, spec, self._limits, self._digests)
        return Context(folder, code.digest)

    async def _below(
        self, revision: RevisionRecord, platform: Platform, registry: Registry
    ) -> tuple[Repository, Base] | None:
        """Find the environment's image that a revision's stands on."""
        found = await find_image(revision.environment_key, self._shelves(registry))
        if found is None:
            return await self._named(revision.spec, platform)
        return found.repository, await self._known.find(found.repository, found.manifest.digest, platform)

    async def _named(self, spec: ServiceSpec, platform: Platform) -> tuple[Repository, Base] | None:
        """Ask plugins for the image; what they name must hold an environment."""
        answer = await self._host.resolve_image(spec.environment, platform)
        if answer is None:
            return None
        if isinstance(answer, Refusal):
            raise Refused((answer,))
        source = Repository(self._registry(answer.registry), answer.repository)
        await self._trust.verify(answer, source.registry)
        base = await self._known.find(source, answer.digest, platform)
        environments_of(base)
        return source, base

    async def _solve(self, spec: ServiceSpec, platform: Platform, errand: Errand) -> Solved:
        footing = await self._bases.find(spec.environment, platform, errand)
        arrangement = await arrange_image(
            footing.inputs, footing.ground, wish(spec).isolation, desk=errand.desk
        )
        key = image_lock_key(footing.foundation, arrangement.pips, compression=self._building.compression)
        return Solved(footing, arrangement, key)

    async def _environment(
        self, solved: Solved, spec: ServiceSpec, registry: Registry, on_line: OnLine, uses: Uses
    ) -> Found:
        footing, pips = solved.footing, solved.arrangement.pips
        below = solved.footing.made
        taken = [
            (ENVIRONMENT_IMAGES, solved.key),
            (LOCKS, solved.key),
            *((BASE_IMAGES, key) for key in below),
        ]
        for repository, tag in taken:
            await uses.take(repository, tag)
        order = BuildOrder(
            platform=footing.inputs.platform,
            base=footing.image,
            repository=ENVIRONMENT_IMAGES,
            tag=solved.key,
            pips=pips,
            title=f"environment of {spec.name}",
            labels=describe(footing.inputs, pips, solved.key, below=below),
        )
        shelves = self._shelves(registry)
        # whoever finds the image finds its locks: they are there before it is built
        known, _ = await asyncio.gather(
            find_image(solved.key, shelves), keep_locks(registry, solved.key, pips, conda=footing.conda)
        )
        found = known or await self._building.find_or_build(order, footing.source.registry, shelves, on_line)
        if found.repository.registry.name != registry.name:  # somebody else built it
            image = ImageRef(found.repository.registry.name, found.repository.name, found.manifest.digest)
            await self._trust.verify(image, found.repository.registry)
        return found

    def _shelves(self, registry: Registry) -> Shelves:
        shared = tuple(self._registry(name) for name in self._shared)
        return Shelves(registry, shared, self._home.cache / "images")

    def _registry(self, name: str) -> Registry:
        return registry_named(self._host, name, place="images")


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
