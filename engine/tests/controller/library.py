"""A library of images over registries in memory: what they hold, what revisions there are, what time it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import attrs
from modelyard.api import (
    BasePython,
    CodeRef,
    EngineSettings,
    EnvironmentSpec,
    ImageRef,
    ImageSettings,
    Maturity,
    OnLine,
    PipLayer,
    Platform,
    PluginSettings,
    Progress,
    Registry,
    ServiceSpec,
)
from modelyard.controller.artifacts import LocalArtifacts
from modelyard.controller.artifacts.entries import tags_of
from modelyard.controller.artifacts.uses import Leasing
from modelyard.controller.ports import Images
from modelyard.host import Host, load
from modelyard.images import (
    BASE_IMAGES,
    ENGINES,
    ENVIRONMENT,
    ENVIRONMENT_IMAGES,
    KEY,
    Inputs,
    describe,
    image_lock_key,
    keep_locks,
    steps_key,
)
from modelyard.processes import Home, find_home
from modelyard.store import RevisionRecord
from modelyard.testing import FakeTarget, InMemoryRegistry, plugin_from

from engine.tests.images.layering import layer, put_image

T = TypeVar("T")
DAY = 86_400.0
AMD64 = Platform("linux", "amd64")
PYTHON = BasePython(PurePosixPath("/usr/bin/python3.11"), "3.11.7", "cp311", "glibc-2.36", "x86_64", True)
PIN = "{} \\\n    --hash=sha256:" + "a" * 64 + "\n"


def pip_of(*pins: str) -> PipLayer:
    return PipLayer(ENVIRONMENT, PYTHON, "".join(PIN.format(one) for one in pins), serving=True)


@attrs.define
class Reaching(InMemoryRegistry):
    """One that other tools reach."""

    maturity: Maturity = Maturity.STABLE

    def address(self, repository: str) -> str:
        return f"registry.example/{repository}"


@attrs.define
class ContainerTarget(FakeTarget):
    """A fake one that starts replicas from images."""

    brought: list[ImageRef] = attrs.field(factory=list)

    async def bring(self, image: ImageRef, registry: Registry, *, on_line: OnLine) -> None:
        on_line(f"bringing {image} from {registry.name}")
        self.brought.append(image)


SETTINGS = EngineSettings(
    registry="memory", images=ImageSettings(base="memory/base/python:3", shared=("company",))
)


@attrs.define
class Library:
    home: Home
    registry: InMemoryRegistry = attrs.field(factory=lambda: Reaching("memory"))
    other: InMemoryRegistry = attrs.field(factory=lambda: InMemoryRegistry("company"))
    history: list[RevisionRecord] = attrs.field(factory=list)
    now: float = 1_700_000_000.0
    settings: EngineSettings = SETTINGS
    target: FakeTarget = attrs.field(factory=lambda: ContainerTarget(artifact="image"))
    artifacts: LocalArtifacts = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.artifacts = LocalArtifacts(self.home, self.host(), self.settings)
        self.artifacts.leasing.clock = lambda: self.now

    @classmethod
    def at(cls, folder: Path, **more: Any) -> Library:
        return cls(find_home({"MODELYARD_HOME": str(folder)}), **more)

    def host(self) -> Host:
        hooks = {"offer_registries": [self.registry, self.other], "offer_targets": [self.target]}
        return load(PluginSettings(), entry_points=[plugin_from("all", **hooks)])

    @property
    def images(self) -> Images:
        return self.artifacts.images(lambda: tuple(self.history))

    @property
    def leasing(self) -> Leasing:
        return self.artifacts.leasing

    def spec(self, name: str = "digits", **environment: Any) -> ServiceSpec:
        code = CodeRef(str(self.home.state), "score.py")
        return ServiceSpec(name=name, code=code, target="fake", environment=EnvironmentSpec(**environment))

    def revision(self, number: int, key: str = "", **more: Any) -> RevisionRecord:
        made = RevisionRecord(
            service="digits",
            number=number,
            created_at=float(number),
            spec=self.spec(),
            environment_key=key,
            locks=("asked",),
        )
        made = attrs.evolve(made, **more)
        self.history.append(made)
        return made

    async def environment(
        self, *pins: str, registry: Registry | None = None, steps: tuple[str, ...] = ()
    ) -> str:
        """Put the image of an environment into a registry, as a build does; gives its key."""
        place, pip = registry or self.registry, pip_of(*pins)
        spec = EnvironmentSpec(base="python:3", requirements=pins, docker_steps=steps)
        inputs = Inputs(AMD64, "sha256:base", spec)
        key = image_lock_key(steps_key(inputs.base, steps) if steps else inputs.base, [pip])
        content = [layer({"base": b"b" * 1000}), layer({"env": key.encode() * 20})]
        below = [steps_key(inputs.base, steps)] if steps else []
        labels = describe(inputs, [pip], key, below=below)
        await put_image(place, content, labels=labels, repository=ENVIRONMENT_IMAGES, tag=key)
        await keep_locks(place, key, [pip])
        if steps:
            tag = steps_key(inputs.base, steps)
            await put_image(place, [layer({"s": b"steps"})], repository=BASE_IMAGES, tag=tag)
        return key

    async def service(self, number: int, *, tag: str = "") -> ImageRef:
        name = "images/services/digits"
        made = await put_image(
            self.registry, [layer({"code": str(number).encode()})], repository=name, tag=tag or str(number)
        )
        return ImageRef("memory", name, made.digest)

    async def engine(self, key: str, tag: str = "0.1.0") -> None:
        """Put an image of the engine's own on an environment's, as a build does: it has that one's labels."""
        labels = {KEY: key}
        await put_image(self.registry, [layer({"e": b"e"})], labels=labels, repository=ENGINES, tag=tag)

    async def tags(self, repository: str = ENVIRONMENT_IMAGES) -> set[str]:
        return set(await tags_of(self.registry, repository))


async def last(lines: AsyncIterator[Progress[T]]) -> tuple[T, list[Progress[T]]]:
    """Give the result of long work, and what was told before."""
    seen = [line async for line in lines]
    assert seen[-1].result is not None
    return seen[-1].result, seen[:-1]


def run(lines: AsyncIterator[Progress[T]]) -> T:
    async def case() -> T:
        return (await last(lines))[0]

    return asyncio.run(case())
