"""Building the engine's own image: which registries, wheels, base and tag, what is told, what is found again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import attrs
import pytest
from modelyard.api import (
    BasePython,
    EngineImage,
    EngineImageOrder,
    EngineSettings,
    ImageSettings,
    PluginSettings,
    Unavailable,
    UserError,
)
from modelyard.controller.artifacts import EngineImages, bases, engine_image, engine_orders
from modelyard.controller.artifacts.entries import engines_on
from modelyard.controller.artifacts.uses import Leasing
from modelyard.environments.distributions.gathering import RELEASE
from modelyard.host import load
from modelyard.images import Assembler, BaseFacts
from modelyard.processes import Home, find_home
from modelyard.testing import InMemoryRegistry, plugin_from

from engine.tests.environments.conftest import (  # noqa: F401  fixtures
    base,
    index,
    interpreter,
    uv_cache,
    write_wheel,
)
from engine.tests.images.layering import layer, put_image
from engine.tests.images.making import BASES

BASE = f"memory/{BASES}:3"


@attrs.define
class Yard:
    """Real solving, laying out and assembling over registries in memory and tiny wheels."""

    home: Home
    wheels: Path
    memory: InMemoryRegistry = attrs.field(factory=InMemoryRegistry)
    company: InMemoryRegistry = attrs.field(factory=lambda: InMemoryRegistry("company"))
    lines: list[str] = attrs.field(factory=list)

    def build(self, **order: Any) -> EngineImage:
        order = {"wheels": str(self.wheels), "platform": "linux/amd64", **order}
        return asyncio.run(self._last(EngineImageOrder(**order)))

    async def _last(self, order: EngineImageOrder) -> EngineImage:
        hooks: dict[str, Any] = {
            "offer_registries": [self.memory, self.company],
            "offer_image_builders": [Assembler(self.home)],
        }
        host = load(PluginSettings(), entry_points=[plugin_from("all", **hooks)])
        settings = EngineSettings(registry="memory", images=ImageSettings(base=BASE))
        self.lines.clear()
        result = None
        async for line in EngineImages(self.home, host, settings, Leasing(self.home)).build(order):
            self.lines.append(line.message)
            result = line.result
        assert result
        return result

    def digest(self, registry: InMemoryRegistry, tag: str = "0.1.0") -> str:
        return asyncio.run(registry.resolve("images/engine", tag)).digest


@pytest.fixture
def yard(
    tmp_path: Path,
    base: BasePython,  # noqa: F811
    index: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Yard:
    async def facts_of(*_: object) -> BaseFacts:
        return BaseFacts(base.machine, base.libc, (base,))

    monkeypatch.setattr(bases, "facts_of", facts_of)
    monkeypatch.setattr(engine_image, "bundled_runtime", lambda: None)
    wheels = tmp_path / "dist"
    wheels.mkdir()
    assert index.is_dir()
    for name in RELEASE:
        needs = ("mathy>=2",) if name == "modelyard" else ("modelyard==0.1.0",)
        write_wheel(wheels, name, "0.1.0", requires=needs)
    made = Yard(find_home({"MODELYARD_HOME": str(tmp_path / "home")}), wheels)
    made.home.create()
    asyncio.run(put_image(made.memory, [layer({"a": b"a"})]))
    return made


def test_it_lies_in_the_workspaces_registry_under_its_version(yard: Yard):
    image = yard.build()
    assert (image.registry, image.repository, image.tag) == ("memory", "images/engine", "0.1.0")
    assert image.digest == yard.digest(yard.memory)
    assert (image.base, image.packages, image.environment_found, image.unchanged) == (BASE, 1, False, False)
    assert len(image.wheels) == len(RELEASE)
    assert yard.lines[0] == "7 wheels of modelyard 0.1.0"


def test_a_second_build_finds_everything_and_changes_nothing(yard: Yard):
    first, again = yard.build(), yard.build()
    assert again == attrs.evolve(first, environment_found=True, unchanged=True)
    assert not [line for line in yard.lines if "laying out" in line or "resolving" in line]


def test_the_registry_tells_which_environment_it_stands_on(yard: Yard):
    image = yard.build()
    assert asyncio.run(engines_on(yard.memory)) == {image.environment_key: ("images/engine:0.1.0",)}


def test_a_changed_wheel_changes_the_image_and_not_its_environment(yard: Yard):
    first = yard.build()
    write_wheel(yard.wheels, "modelyard-cpu", "0.1.0", more={"modelyard_cpu/new.py": "x = 1\n"})
    again = yard.build()
    assert again.digest != first.digest
    assert (again.environment_key, again.environment_found) == (first.environment_key, True)


def test_another_registry_and_another_tag_are_taken_as_said(yard: Yard):
    image = yard.build(registry="company", tag="edge")
    assert yard.digest(yard.company, "edge") == image.digest
    with pytest.raises(UserError):
        yard.digest(yard.memory, "edge")
    assert image.registry == "company"


def test_a_dry_run_builds_nothing_and_says_what_it_would(yard: Yard):
    dry = yard.build(dry_run=True)
    with pytest.raises(UserError):
        yard.digest(yard.memory)
    assert yard.build() == attrs.evolve(dry, digest=yard.digest(yard.memory))


def test_the_name_by_which_nodes_pull_ends_in_the_digest(yard: Yard, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(InMemoryRegistry, "address", lambda _, repository: f"registry.example/{repository}")
    assert yard.build(dry_run=True).address == "registry.example/images/engine:0.1.0"
    image = yard.build()
    assert image.address == f"registry.example/images/engine@{image.digest}"


def test_the_revision_that_was_said_is_told(yard: Yard):
    assert yard.build(revision="abc123").revision == "abc123"


@pytest.mark.parametrize(
    ("order", "error", "words"),
    [
        ({"tag": "a b"}, UserError, "no tag"),
        ({"tag": "../x"}, UserError, "no tag"),
        ({"platform": "linux"}, UserError, "no platform"),
        ({"platform": "windows/amd64"}, UserError, "of linux, not of windows"),
        ({"platform": "linux/s390x"}, UserError, "s390x"),
        ({"registry": "nowhere"}, Unavailable, "the registry 'nowhere'; there are: company, memory"),
        ({"base": f"memory/{BASES}:99"}, UserError, "99"),
        ({"wheels": "/nowhere"}, UserError, "no such folder"),
        ({"wheels": ""}, UserError, "a link to its sources"),
    ],
)
def test_what_cannot_be_built_is_refused_with_why(
    yard: Yard, order: dict[str, str], error: type[Exception], words: str
):
    with pytest.raises(error, match=words):
        yard.build(**order)


def release(yard: Yard, version: str) -> None:
    for name in RELEASE:
        (wheel,) = yard.wheels.glob(f"{name.replace('-', '_')}-0*.whl")
        wheel.unlink()
        write_wheel(yard.wheels, name, version)


def test_another_release_is_left_to_its_own_engine(yard: Yard):
    release(yard, "0.2")
    with pytest.raises(UserError, match=r"of modelyard 0\.2, and this engine is 0\.1\.0"):
        yard.build()


def test_a_version_of_ones_own_becomes_a_tag(yard: Yard, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine_orders, "__version__", "0.2+mine")
    release(yard, "0.2+mine")
    assert yard.build(dry_run=True).tag == "0.2-mine"


def test_what_a_killed_build_left_is_swept_and_nothing_of_ours_stays(yard: Yard):
    left = yard.home.cache / "images" / "work-of-the-dead" / "wheels"
    left.mkdir(parents=True)
    (left / "half").write_text("made")
    yard.build()
    assert {one.name for one in (yard.home.cache / "images").iterdir() if one.is_dir()} == set()
