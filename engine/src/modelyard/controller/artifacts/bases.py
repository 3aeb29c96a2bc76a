"""What an environment stands on: the base that is asked for, its docker steps, its conda packages, its Pythons."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import attrs

from modelyard.api import (
    BuildOrder,
    Compression,
    CondaLayer,
    EnvironmentSpec,
    ImageRef,
    ImageSettings,
    Platform,
    Unavailable,
)
from modelyard.controller.artifacts.building import ImageBuilding
from modelyard.controller.artifacts.vouching import BaseTrust
from modelyard.environments import CondaSpec, conda_platform, solve_conda
from modelyard.host import Host
from modelyard.images import (
    BASE_IMAGES,
    CONDA,
    DAEMON,
    Base,
    BaseFacts,
    Desk,
    Ground,
    Inputs,
    KnownBases,
    Located,
    Repository,
    Shelves,
    check_servers,
    conda_key,
    conda_of,
    copies_files,
    describe_base,
    dockerfile_key,
    facts_of,
    find_image,
    locate,
    parse_reference,
    steps_key,
)
from modelyard.processes import Home

UNCHECKED = "picked by a Dockerfile: nobody's signature is checked"


@attrs.frozen
class Footing:
    """Where an environment will stand. `inputs` speak of the base that was asked for, all else of what it became.

    `made` has the keys of the bases that the engine had built for it, the last one on top.
    """

    inputs: Inputs
    image: ImageRef
    source: Repository
    ground: Ground
    made: tuple[str, ...] = ()
    vouched: str = ""
    """What is known of who signed the base."""
    conda: str = ""
    """The lock of the conda packages below; empty where there are none."""

    @property
    def foundation(self) -> str:
        """What an environment's key says of all that lies below it."""
        return self.made[-1] if self.made else self.inputs.base


@attrs.frozen
class Context:
    """The folder that docker steps copy from, and the digest of what is in it."""

    folder: Path
    digest: str


@attrs.frozen
class Errand:
    """For whom a footing is made: where to look, what may be solved, who hears of it."""

    shelves: Shelves
    desk: Desk
    context: Context
    build: bool = True
    """False = what was not built before is not built now."""
    accept: Callable[[Base], None] = lambda _: None
    """Raises for a base that is of no use where replicas will run."""


class BaseFinder:
    """Finds bases in whichever registry they are, and has done to them what is asked for."""

    def __init__(
        self, home: Home, host: Host, building: ImageBuilding, known: KnownBases, settings: ImageSettings
    ) -> None:
        self._home = home
        self._known = known
        self._host = host
        self._building = building
        self._default = settings.base
        self._trust = BaseTrust(settings)

    async def find(self, spec: EnvironmentSpec, platform: Platform, errand: Errand) -> Footing:
        """Find the base of a specification; do its docker steps, then lay its conda packages on it.

        Raises `NotBuilt` where the errand forbids to build what is missing. Before anything is built:
        `ImageUntrusted` for a base that nobody signed and that must be signed. Before conda packages are:
        `EnvironmentUnsolvable` where the server would have no Python.
        """
        self._trust.refuse_unchecked(spec)
        inputs, standing = await self._begin(spec, platform, errand)
        if spec.docker_steps:
            standing = await self._built(
                _steps_order(inputs, standing, errand.context), standing, inputs, errand
            )
        facts = await facts_of(standing.base, standing.source, platform, self._home.bases)
        if spec.conda is None:
            ground = Ground(standing.base.digest, facts.pythons)
            return Footing(inputs, standing.image, standing.source, ground, standing.made, standing.vouched)
        return await self._on_conda(inputs, standing, facts, errand)

    async def _begin(
        self, spec: EnvironmentSpec, platform: Platform, errand: Errand
    ) -> tuple[Inputs, _Standing]:
        """Find the base in its registry, or have a Dockerfile make it."""
        if spec.dockerfile is not None:
            order = _dockerfile_order(spec.dockerfile, platform, errand)
            inputs = Inputs(platform, order.tag, spec)
            return inputs, await self._built(order, None, inputs, errand)
        name = spec.base or self._default.format(python=_minor(spec.python))
        located = locate(parse_reference(name), self._host.registries)
        source = Repository(located.registry, located.repository)
        errand.desk.on_line(f"base {name}")
        asked = await self._found(name, source, located, platform)
        errand.accept(asked)
        vouched = await self._trust.vouch(asked, located, platform)
        if self._trust.is_required:
            errand.desk.on_line(f"base {vouched}")
        inputs = Inputs(platform, asked.digest, attrs.evolve(spec, base=name))
        image = ImageRef(source.registry.name, source.name, asked.digest)
        return inputs, _Standing(image, asked, source, vouched)

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
        check_servers(facts.pythons, lock, spec)
        order = _conda_order(inputs, standing, lock.text, self._building.compression)
        standing = await self._built(order, standing, inputs, errand)
        asked = attrs.evolve(spec, requirements=(*spec.requirements, *file.pip))
        ground = Ground(standing.base.digest, facts.pythons, conda_of(standing.base))
        inputs = attrs.evolve(inputs, spec=asked)
        return Footing(
            inputs, standing.image, standing.source, ground, standing.made, standing.vouched, lock.text
        )

    async def _built(
        self, order: BuildOrder, below: _Standing | None, inputs: Inputs, errand: Errand
    ) -> _Standing:
        """Have what is done to a base found or built, and stand on it."""
        if errand.build:
            registry = below.source.registry if below else errand.shelves.workspace
            found = await self._building.find_or_build(order, registry, errand.shelves, errand.desk.on_line)
        else:
            known = await find_image(order.tag, errand.shelves, order.repository)
            if known is None:
                raise NotBuilt(order.title, inputs, below.vouched if below else UNCHECKED)
            found = known
        source = found.repository
        image = ImageRef(source.registry.name, source.name, found.manifest.digest)
        base = await self._known.find(source, image.digest, inputs.platform)
        name = below.base.name if below else base.name
        made = (*(below.made if below else ()), order.tag)
        vouched = below.vouched if below else UNCHECKED
        return _Standing(image, attrs.evolve(base, name=name), source, vouched, made)

    async def _found(self, name: str, source: Repository, located: Located, platform: Platform) -> Base:
        try:
            return await self._known.find(source, located.pointer, platform)
        except Unavailable as failure:
            if located.registry.name != DAEMON:
                raise
            raise Unavailable(
                f"no registry is listed that has {name}, and Docker, which might know it, does not answer:"
                f" {failure.message}",
                place="environment.base",
                remedy="list its server in registries.toml, start Docker, or name another base",
            ) from failure


@attrs.frozen
class _Standing:
    image: ImageRef
    base: Base
    source: Repository
    vouched: str
    made: tuple[str, ...] = ()

    @property
    def foundation(self) -> str:
        return self.made[-1] if self.made else self.base.digest


class NotBuilt(Unavailable):
    """What is asked for depends on an image that was not built yet.

    `inputs` is what is asked for, `vouched` what is known of who signed its base.
    """

    def __init__(self, what: str, inputs: Inputs, vouched: str) -> None:
        super().__init__(
            f"{what} was not built yet, and what fits on it is not known before",
            place="environment",
            remedy="deploy the service once, which builds it",
        )
        self.inputs = inputs
        self.vouched = vouched


def _steps_order(inputs: Inputs, below: _Standing, context: Context) -> BuildOrder:
    steps = inputs.spec.docker_steps
    reads = context if copies_files(steps) else None
    key = steps_key(inputs.base, steps, context=reads.digest if reads else "")
    return BuildOrder(
        platform=inputs.platform,
        base=below.image,
        repository=BASE_IMAGES,
        tag=key,
        docker_steps=steps,
        context=reads.folder if reads else None,
        title=f"{inputs.spec.base} with {len(steps)} docker steps",
        labels=describe_base(key),
    )


def _dockerfile_order(text: str, platform: Platform, errand: Errand) -> BuildOrder:
    reads = errand.context if copies_files([text]) else None
    key = dockerfile_key(platform, text, context=reads.digest if reads else "")
    return BuildOrder(
        platform=platform,
        base=ImageRef(errand.shelves.workspace.name, BASE_IMAGES, ""),
        repository=BASE_IMAGES,
        tag=key,
        dockerfile=text,
        context=reads.folder if reads else None,
        title="the image of environment.dockerfile",
        labels=describe_base(key),
    )


def _conda_order(inputs: Inputs, below: _Standing, lock: str, compression: Compression) -> BuildOrder:
    key = conda_key(below.foundation, lock, compression=compression)
    return BuildOrder(
        platform=inputs.platform,
        base=below.image,
        repository=BASE_IMAGES,
        tag=key,
        conda=CondaLayer(CONDA, lock, inputs.spec.conda or {}),
        title=f"{inputs.spec.base or 'a base'} with conda packages",
        labels=describe_base(key, below=below.made),
    )


def _minor(python: str | None) -> str:
    """Give the Python that a default base shall have: the one asked for, else the engine's own."""
    wanted = python or f"{sys.version_info.major}.{sys.version_info.minor}"
    return ".".join(wanted.split(".")[:2])
