"""What an environment stands on: the base that is asked for, its docker steps, its conda packages, its Pythons."""

from __future__ import annotations

import sys

import attrs

from modelyard.api import (
    BuildOrder,
    Compression,
    CondaLayer,
    EnvironmentSpec,
    ImageRef,
    Platform,
    Unavailable,
)
from modelyard.controller.artifacts.building import ImageBuilding
from modelyard.environments import CondaSpec, conda_platform, solve_conda
from modelyard.host import Host
from modelyard.images import (
    BASE_IMAGES,
    CONDA,
    CONDA_IMAGES,
    KEY,
    Base,
    BaseFacts,
    Desk,
    Ground,
    Inputs,
    Repository,
    Shelves,
    conda_key,
    conda_of,
    facts_of,
    find_base,
    find_image,
    locate,
    parse_reference,
    steps_key,
)
from modelyard.processes import Home


@attrs.frozen
class Footing:
    """Where an environment will stand. `inputs` speak of the base that was asked for, all else of what it became."""

    inputs: Inputs
    image: ImageRef
    source: Repository
    ground: Ground
    conda_lock: str = ""


@attrs.frozen
class Errand:
    """For whom a footing is made: where to look, what may be solved, who hears of it."""

    shelves: Shelves
    desk: Desk
    build: bool = True
    """False = what was not built before is not built now."""


class BaseFinder:
    """Finds bases in whichever registry they are, and has done to them what is asked for."""

    def __init__(self, home: Home, host: Host, building: ImageBuilding, *, default: str) -> None:
        self._home = home
        self._host = host
        self._building = building
        self._default = default

    async def find(self, spec: EnvironmentSpec, platform: Platform, errand: Errand) -> Footing:
        """Find the base of a specification; do its docker steps, then lay its conda packages on it.

        Raises `NotBuilt` where the errand forbids to build what is missing.
        """
        name = spec.base or self._default.format(python=_minor(spec.python))
        located = locate(parse_reference(name), self._host.registries)
        source = Repository(located.registry, located.repository)
        errand.desk.on_line(f"base {name}")
        asked = await find_base(source, located.pointer, platform)
        inputs = Inputs(platform, asked.digest, attrs.evolve(spec, base=name))
        standing = _Standing(ImageRef(source.registry.name, source.name, asked.digest), asked, source)
        if spec.docker_steps:
            order = _steps_order(inputs, standing.image)
            standing = await self._built(order, standing, platform, errand)
        facts = await facts_of(standing.base, standing.source, platform, self._home.cache / "bases")
        if spec.conda is None:
            ground = Ground(standing.base.digest, facts.pythons)
            return Footing(inputs, standing.image, standing.source, ground)
        return await self._on_conda(inputs, standing, facts, errand)

    async def _on_conda(
        self, inputs: Inputs, standing: _Standing, facts: BaseFacts, errand: Errand
    ) -> Footing:
        spec, desk = inputs.spec, errand.desk
        file = CondaSpec.read(spec.conda or {}, python=spec.python)
        lock = await solve_conda(
            file,
            conda_platform(facts.machine, facts.libc),
            home=self._home,
            records=desk.records,
            frozen=desk.frozen,
            refresh=desk.refresh,
            on_line=desk.on_line,
        )
        order = _conda_order(inputs, standing.image, lock.text, self._building.compression)
        standing = await self._built(order, standing, inputs.platform, errand)
        asked = attrs.evolve(spec, requirements=(*spec.requirements, *file.pip))
        ground = Ground(standing.base.digest, facts.pythons, conda_of(standing.base))
        inputs = attrs.evolve(inputs, spec=asked)
        return Footing(inputs, standing.image, standing.source, ground, lock.text)

    async def _built(
        self, order: BuildOrder, below: _Standing, platform: Platform, errand: Errand
    ) -> _Standing:
        """Have what is done to a base found or built, and stand on it."""
        if errand.build:
            found = await self._building.find_or_build(
                order, below.source.registry, errand.shelves, errand.desk.on_line
            )
        else:
            known = await find_image(order.tag, errand.shelves, order.repository)
            if known is None:
                raise NotBuilt(f"{order.title} was not built yet")
            found = known
        source = found.repository
        image = ImageRef(source.registry.name, source.name, found.manifest.digest)
        base = await find_base(source, image.digest, platform)
        return _Standing(image, attrs.evolve(base, name=below.base.name), source)


@attrs.frozen
class _Standing:
    image: ImageRef
    base: Base
    source: Repository


class NotBuilt(Unavailable):
    """What is asked for depends on an image that was not built yet."""


def _steps_order(inputs: Inputs, base: ImageRef) -> BuildOrder:
    steps = inputs.spec.docker_steps
    return BuildOrder(
        platform=inputs.platform,
        base=base,
        repository=BASE_IMAGES,
        tag=steps_key(inputs.base, steps),
        docker_steps=steps,
        title=f"{inputs.spec.base} with {len(steps)} docker steps",
    )


def _conda_order(inputs: Inputs, base: ImageRef, lock: str, compression: Compression) -> BuildOrder:
    key = conda_key(inputs.base, inputs.spec.docker_steps, lock, compression=compression)
    return BuildOrder(
        platform=inputs.platform,
        base=base,
        repository=CONDA_IMAGES,
        tag=key,
        conda=CondaLayer(CONDA, lock, inputs.spec.conda or {}),
        title=f"{inputs.spec.base} with conda packages",
        labels={KEY: key},
    )


def _minor(python: str | None) -> str:
    """Give the Python that a default base shall have: the one asked for, else the engine's own."""
    wanted = python or f"{sys.version_info.major}.{sys.version_info.minor}"
    return ".".join(wanted.split(".")[:2])
