"""The engine's own image: its wheels above what they need, and how it starts."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import attrs
import pytest
from modelyard.api import (
    BasePython,
    BuildOrder,
    BuildSite,
    Descriptor,
    EnvironmentSpec,
    ImageRef,
    NotFound,
    PipLayer,
)
from modelyard.environments import read_wheel
from modelyard.images import (
    ENGINE,
    ENGINES,
    ENVIRONMENT_IMAGES,
    Assembler,
    EngineParts,
    FolderMemo,
    Inputs,
    Repository,
    Workshop,
    build_engine,
    describe,
    find_base,
)
from modelyard.processes import find_home
from modelyard.testing import InMemoryRegistry

from engine.tests.environments.conftest import write_wheel
from engine.tests.images.layering import layer, put_image
from engine.tests.images.making import AMD64, BASES, Killed, Watched, read

KEY = "e" * 64
HOME = "/var/lib/modelyard"
SCRIPT = {"INFO.dist-info/entry_points.txt": "[console_scripts]\nengine = modelyard:VERSION\n"}


@attrs.frozen
class Bench:
    """A registry with an environment's image, and the wheels that go above it."""

    registry: Watched
    parts: EngineParts
    python: BasePython
    lock: str
    work: Path

    async def environment(self) -> None:
        below = await put_image(self.registry, [layer({"usr/bin/true": b"true"})], variables=["PATH=/bin"])
        pip = PipLayer(ENGINE, self.python, self.lock, serving=False)
        order = BuildOrder(
            platform=AMD64,
            base=ImageRef(self.registry.name, BASES, below.digest),
            repository=ENVIRONMENT_IMAGES,
            tag=KEY,
            pips=(pip,),
            title="environment of the engine",
            labels=describe(Inputs(AMD64, below.digest, EnvironmentSpec()), [pip], KEY),
        )
        site = BuildSite(self.registry, self.registry, self._fresh(), lambda _: None)
        home = find_home({"MODELYARD_HOME": str(self._fresh())})
        await Assembler(home).build(order, site)

    async def build(self, **changed: Any) -> Descriptor:
        source = Repository(self.registry, ENVIRONMENT_IMAGES)
        base = await find_base(source, KEY, AMD64)
        return await build_engine(
            attrs.evolve(self.parts, **changed),
            base,
            source=source,
            target=Repository(self.registry, ENGINES),
            tag="0.1.0",
            workshop=Workshop(FolderMemo(self.work / "memo"), self._fresh(), lambda _: None),
        )

    async def layers(self) -> list[dict[str, tarfile.TarInfo]]:
        artifact = await self.registry.pull(ENGINES, "0.1.0")
        found = []
        for one in artifact.layers:
            content = io.BytesIO(await read(self.registry, ENGINES, one.digest))
            with tarfile.open(fileobj=content, mode="r:*") as tar:
                found.append({member.name: member for member in tar})
        return found

    async def running(self) -> dict[str, Any]:
        artifact = await self.registry.pull(ENGINES, "0.1.0")
        assert artifact.config
        document = json.loads(await read(self.registry, ENGINES, artifact.config.digest))
        return dict(document["config"])

    def _fresh(self) -> Path:
        folder = self.work / f"{len(list(self.work.iterdir()))}"
        folder.mkdir()
        return folder


@pytest.fixture
def bench(tmp_path: Path, base: BasePython, index: Path) -> Bench:
    (tmp_path / "work").mkdir()
    (tmp_path / "dist").mkdir()
    needed = next(index.glob("mathy-2.0-*.whl"))
    wheels = (
        write_wheel(tmp_path / "dist", "modelyard", "0.1.0", requires=("mathy>=2",), more=SCRIPT),
        write_wheel(tmp_path / "dist", "modelyard-cpu", "0.1.0", requires=("modelyard",)),
    )
    parts = EngineParts(tuple(map(read_wheel, wheels)), "0.1.0", "abc123")
    lock = f"mathy==2.0 --hash=sha256:{hashlib.sha256(needed.read_bytes()).hexdigest()}\n"
    return Bench(Watched(InMemoryRegistry()), parts, base, lock, tmp_path / "work")


def test_its_own_wheels_lie_alone_above_what_they_need(bench: Bench):
    site = f"opt/modelyard/engine/lib/python{bench.python.minor}/site-packages"

    async def case() -> None:
        await bench.environment()
        await bench.build()
        _, below, own = await bench.layers()
        assert f"{site}/mathy/__init__.py" in below
        assert "opt/modelyard/engine/bin/python" in below
        assert not [name for name in own if "mathy" in name]
        assert {f"{site}/modelyard/__init__.py", f"{site}/modelyard_cpu/__init__.py"} <= own.keys()
        assert f"{site}/modelyard/__pycache__/__init__.{cache_tag(bench)}.pyc" in own
        assert own["opt/modelyard/engine/bin/engine"].mode == 0o755
        files = {name for name, member in own.items() if not member.isdir()}
        assert not files & below.keys()

    asyncio.run(case())


def cache_tag(bench: Bench) -> str:
    return f"cpython-{bench.python.minor.replace('.', '')}"


def test_the_folder_it_writes_to_is_its_users_alone(bench: Bench):
    async def case() -> None:
        await bench.environment()
        await bench.build()
        own = (await bench.layers())[-1]
        written = own[HOME.lstrip("/")]
        assert (written.isdir(), written.uid, written.gid, written.mode) == (True, 65532, 65532, 0o700)
        assert {member.uid for name, member in own.items() if f"/{name}" != HOME} == {0}

    asyncio.run(case())


def test_it_starts_the_controller_below_a_first_process_with_everything_in_a_volume(bench: Bench):
    async def case() -> None:
        await bench.environment()
        await bench.build()
        running = await bench.running()
        python, *first = running["Entrypoint"][:4]
        assert python == "/opt/modelyard/engine/bin/python"
        assert first[-1].endswith("/site-packages/modelyard/processes/first.py")
        assert running["Entrypoint"][4:] == [
            *(python, "-I", "-m", "modelyard.daemon", "serve", "--contained"),
            *("--router-address", "0.0.0.0"),  # noqa: S104  in a container
        ]
        assert running["User"] == "65532:65532"
        assert running["Volumes"] == {HOME: {}}
        assert running["ExposedPorts"] == {"8484/tcp": {}}
        assert {f"MODELYARD_HOME={HOME}", f"HOME={HOME}"} <= set(running["Env"])
        assert "PATH=/opt/modelyard/engine/bin:/bin" in running["Env"]

    asyncio.run(case())


@pytest.mark.parametrize("revision", ["abc123", ""])
def test_labels_say_the_version_and_the_revision_where_it_is_known(bench: Bench, revision: str):
    async def case() -> None:
        await bench.environment()
        await bench.build(revision=revision)
        labels = (await bench.running())["Labels"]
        assert labels["org.opencontainers.image.version"] == "0.1.0"
        assert labels.get("org.opencontainers.image.revision", "") == revision

    asyncio.run(case())


def test_the_same_wheels_give_the_same_digest_elsewhere(bench: Bench):
    async def case() -> None:
        await bench.environment()
        first = await bench.build()
        again = attrs.evolve(bench, registry=Watched(InMemoryRegistry()))
        await again.environment()
        assert await again.build() == first

    asyncio.run(case())


def test_what_did_not_change_is_neither_laid_out_nor_sent(bench: Bench):
    async def case() -> Descriptor:
        await bench.environment()
        first = await bench.build()
        for one in bench.parts.wheels:
            one.path.unlink()
        bench.registry.calls.clear()
        assert await bench.build() == first
        return first

    asyncio.run(case())
    assert [what for method, what in bench.registry.calls if method == "push_blob"] == [
        "application/vnd.oci.image.config.v1+json"
    ]


def test_killed_at_any_call_it_leaves_no_tag_and_the_next_build_makes_the_same(bench: Bench):
    async def whole() -> tuple[Descriptor, int, int]:
        await bench.environment()
        before = len(bench.registry.calls)
        made = await bench.build()
        return made, before, len(bench.registry.calls)

    made, before, after = asyncio.run(whole())

    async def dying(at: int) -> None:
        fresh = attrs.evolve(bench, registry=Watched(InMemoryRegistry()))
        await fresh.environment()
        assert len(fresh.registry.calls) == before
        fresh.registry.dies_at = at
        with pytest.raises(Killed):
            await fresh.build()
        fresh.registry.dies_at = -1
        with pytest.raises(NotFound):
            await fresh.registry.resolve(ENGINES, "0.1.0")
        assert await fresh.build() == made

    for at in range(before, after):
        asyncio.run(dying(at))
