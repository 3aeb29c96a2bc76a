"""What an image stands on: the base that is asked for, with the docker steps done to it, and its Pythons."""

from __future__ import annotations

import sys

import attrs

from modelyard.api import BasePython, BuildOrder, EnvironmentSpec, ImageRef, ImageUnbuildable, Platform
from modelyard.controller.artifacts.building import ImageBuilding
from modelyard.controller.ports import OnLine
from modelyard.host import Host
from modelyard.images import (
    BASE_IMAGES,
    Base,
    Found,
    Inputs,
    Repository,
    Shelves,
    find_base,
    find_image,
    locate,
    parse_reference,
    pythons_of,
    steps_key,
)
from modelyard.processes import Home


@attrs.frozen
class Ground:
    """A base that was found. `inputs` speak of the one that was asked for, all else of the one with its steps."""

    inputs: Inputs
    image: ImageRef
    base: Base
    source: Repository
    pythons: tuple[BasePython, ...]


class BaseFinder:
    """Finds bases in whichever registry they are."""

    def __init__(self, home: Home, host: Host, building: ImageBuilding, *, default: str) -> None:
        self._home = home
        self._host = host
        self._building = building
        self._default = default

    async def find(
        self,
        spec: EnvironmentSpec,
        platform: Platform,
        shelves: Shelves,
        on_line: OnLine,
        *,
        may_build: bool = True,
    ) -> Ground:
        """Find the base of a specification, build what its docker steps make of it, and look for its Pythons.

        Without `may_build` the steps must have been done before; raises `ImageUnbuildable` else.
        """
        name = spec.base or self._default.format(python=_minor(spec.python))
        located = locate(parse_reference(name), self._host.registries)
        source = Repository(located.registry, located.repository)
        on_line(f"base {name}")
        asked = await find_base(source, located.pointer, platform)
        inputs = Inputs(platform, asked.digest, attrs.evolve(spec, base=name))
        image = ImageRef(located.registry.name, located.repository, asked.digest)
        if spec.docker_steps:
            if not may_build:
                await _require_steps(inputs, shelves)
            found = await self._with_steps(inputs, image, shelves, on_line)
            source = found.repository
            image = ImageRef(source.registry.name, source.name, found.manifest.digest)
            asked = attrs.evolve(await find_base(source, image.digest, platform), name=name)
        pythons = await pythons_of(asked, source, platform, self._home.cache / "bases")
        return Ground(inputs, image, asked, source, pythons)

    async def _with_steps(self, inputs: Inputs, image: ImageRef, shelves: Shelves, on_line: OnLine) -> Found:
        steps = inputs.spec.docker_steps
        order = BuildOrder(
            platform=inputs.platform,
            base=image,
            repository=BASE_IMAGES,
            tag=steps_key(inputs.base, steps),
            docker_steps=steps,
            title=f"{inputs.spec.base} with {len(steps)} docker steps",
        )
        registry = self._host.registries[image.registry]
        return await self._building.find_or_build(order, registry, shelves, on_line)


async def _require_steps(inputs: Inputs, shelves: Shelves) -> None:
    if await find_image(steps_key(inputs.base, inputs.spec.docker_steps), shelves, BASE_IMAGES) is None:
        raise ImageUnbuildable(
            "the docker steps were never done to this base, and what Python they leave is not known before",
            place="environment.docker_steps",
            remedy="run `engine plan` for this service, which builds the base alone",
        )


def _minor(python: str | None) -> str:
    """Give the Python that a default base shall have: the one asked for, else the engine's own."""
    wanted = python or f"{sys.version_info.major}.{sys.version_info.minor}"
    return ".".join(wanted.split(".")[:2])
