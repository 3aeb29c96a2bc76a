"""The image of a service: an environment on a base, then runtime, models and code; only what changed is sent."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import pytest
from modelyard.api import (
    BasePython,
    BuildOrder,
    BuildSite,
    Compression,
    Descriptor,
    EnvironmentSpec,
    ImageRef,
    ImageUnbuildable,
    PipLayer,
)
from modelyard.environments import RuntimeWheel
from modelyard.images import (
    ENVIRONMENT,
    Assembler,
    FolderMemo,
    Inputs,
    Repository,
    ServiceParts,
    Workshop,
    bill_upon,
    build_service,
    describe,
    find_base,
    package_of,
    send_code,
    store_models,
)
from modelyard.images.attesting import read_sboms
from modelyard.images.layers import TAR_TYPE
from modelyard.processes import find_home
from modelyard.testing import InMemoryRegistry

from engine.tests.images.layering import DPKG, layer, put_image
from engine.tests.images.making import AMD64, BASES, Watched, read

ENVIRONMENTS = "images/environments"
SERVICE = "images/services/digits"
KEY = "e" * 64


@attrs.frozen
class Bench:
    """A registry with a base, and everything that a service's image is made of."""

    registry: Watched
    parts: ServiceParts
    python: BasePython
    lock: str
    work: Path

    compression: Compression = "gzip"

    async def environment(self) -> Descriptor:
        """Build the environment's image."""
        made = await put_image(self.registry, [layer({"usr/bin/true": b"true", **DPKG})])
        pip = PipLayer(ENVIRONMENT, self.python, self.lock, serving=True)
        order = BuildOrder(
            platform=AMD64,
            base=ImageRef(self.registry.name, BASES, made.digest),
            repository=ENVIRONMENTS,
            tag=KEY,
            pips=(pip,),
            title="environment of digits",
            labels=describe(Inputs(AMD64, made.digest, EnvironmentSpec()), [pip], KEY),
        )
        folder = self._fresh("environment")
        site = BuildSite(self.registry, self.registry, folder, lambda _: None, self.compression)
        return await assembler(self.work / "home").build(order, site)

    async def service(self, **changed: Any) -> Descriptor:
        """Build the service's image upon it."""
        source = Repository(self.registry, ENVIRONMENTS)
        target = Repository(self.registry, SERVICE)
        found = await find_base(source, KEY, AMD64)
        workshop = Workshop(
            FolderMemo(self.work / "memo"), self._fresh("service"), lambda _: None, self.compression
        )
        parts = attrs.evolve(self.parts, **changed)
        return await build_service(parts, found, source=source, target=target, workshop=workshop)

    async def held(self, tag: str = "1") -> list[set[str]]:
        """Name the files of each layer of the service's image."""
        artifact = await self.registry.pull(SERVICE, tag)
        return [names(await read(self.registry, SERVICE, one.digest)) for one in artifact.layers]

    async def config(self, tag: str = "1") -> dict[str, Any]:
        artifact = await self.registry.pull(SERVICE, tag)
        assert artifact.config
        return dict(json.loads(await read(self.registry, SERVICE, artifact.config.digest)))

    def pushed(self) -> list[str]:
        return [what.rpartition(".")[2] for method, what in self.registry.calls if method == "push_blob"]

    def _fresh(self, name: str) -> Path:
        folder = self.work / f"{name}-{len(list(self.work.iterdir()))}"
        folder.mkdir()
        return folder


def assembler(home: Path = Path("/nowhere")) -> Assembler:
    return Assembler(find_home({"MODELYARD_HOME": str(home)}))


def names(content: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as tar:
        return {one.name for one in tar if not one.isdir()}


@pytest.fixture
def bench(tmp_path: Path, base: BasePython, index: Path, runtime: RuntimeWheel) -> Bench:
    for name in ("work", "code", "models/azureml-models/digits/1"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "code" / "score.py").write_text("def run(data): return 1\n")
    (tmp_path / "models/azureml-models/digits/1/weights.bin").write_bytes(bytes(5000))
    wheel = next(index.glob("mathy-2.0-*.whl"))
    parts = ServiceParts(
        name="digits",
        revision=1,
        code=tmp_path / "code",
        code_digest="sha256:1",
        models=tmp_path / "models",
        model_names=("azureml-models/digits/1/weights.bin=sha256:2",),
        runtime=runtime,
    )
    lock = f"mathy==2.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    return Bench(Watched(InMemoryRegistry()), parts, base, lock, tmp_path / "work")


def test_its_layers_lie_from_the_most_stable_to_the_least(bench: Bench):
    site = f"opt/modelyard/env/lib/python{bench.python.minor}/site-packages"

    async def case() -> None:
        await bench.environment()
        await bench.service()
        base, environment, server, models, code = await bench.held()
        assert base == {"usr/bin/true", *DPKG}
        assert f"{site}/mathy/__init__.py" in environment
        assert "opt/modelyard/env/bin/python" in environment
        assert f"{site}/modelyard_runtime/__init__.py" in server
        assert all(one.startswith(f"{site}/modelyard_runtime") for one in server)
        assert models == {"opt/modelyard/app/azureml-models/digits/1/weights.bin"}
        assert code == {"opt/modelyard/code/score.py"}

    asyncio.run(case())


def test_it_starts_the_replicas_parent_as_nobody_in_the_codes_folder(bench: Bench):
    async def case() -> None:
        await bench.environment()
        await bench.service()
        running = (await bench.config())["config"]
        assert running["Entrypoint"] == [
            *("/opt/modelyard/env/bin/python", "-I", "-m", "modelyard_runtime.replica"),
            "--from-environment",
        ]
        assert running["User"] == "65532:65532"
        assert running["WorkingDir"] == "/opt/modelyard/code"
        assert running["Labels"]["org.opencontainers.image.revision"] == "sha256:1"

    asyncio.run(case())


def test_the_same_parts_have_the_same_digest(bench: Bench):
    async def case() -> None:
        await bench.environment()
        first = await bench.service()
        again = attrs.evolve(bench, registry=Watched(InMemoryRegistry()))
        await again.environment()
        assert await again.service() == first

    asyncio.run(case())


def test_code_and_models_that_are_sent_ahead_give_the_same_digest(bench: Bench):
    async def case() -> None:
        await bench.environment()
        first = await bench.service()
        ahead = attrs.evolve(bench, registry=Watched(InMemoryRegistry()))
        await ahead.environment()
        source, target = Repository(ahead.registry, ENVIRONMENTS), Repository(ahead.registry, SERVICE)
        folder = bench.work / "ahead"
        folder.mkdir()
        workshop = Workshop(FolderMemo(bench.work / "other-memo"), folder, lambda _: None)
        await store_models(bench.parts, target=target, workshop=workshop)
        code = await send_code(bench.parts, target=target, workshop=workshop)
        before = ahead.registry.calls.copy()
        assert ("push_blob", TAR_TYPE) in before
        base = await find_base(source, KEY, AMD64)
        made = await build_service(
            bench.parts, base, source=source, target=target, workshop=workshop, code=code
        )
        assert made == first
        assert ("push_blob", TAR_TYPE) not in ahead.registry.calls[len(before) :]
        assert len(await ahead.held()) == 5

    asyncio.run(case())


def changed(bench: Bench, change: Callable[[], None] = lambda: None, **parts: Any) -> list[str]:
    async def case() -> list[str]:
        await bench.environment()
        await bench.service()
        bench.registry.calls.clear()
        await asyncio.to_thread(change)
        await bench.service(revision=2, **parts)
        return bench.pushed()

    return asyncio.run(case())


def test_a_change_of_code_sends_one_layer_and_the_configuration(bench: Bench):
    def change() -> None:
        (bench.parts.code / "score.py").write_text("def run(data): return 2\n")

    assert changed(bench, change, code_digest="sha256:3") == ["tar+gzip", "v1+json"]


def test_what_did_not_change_is_not_read_again(bench: Bench):
    def remove() -> None:
        assert bench.parts.models
        (bench.parts.models / "azureml-models/digits/1/weights.bin").unlink()

    assert changed(bench, remove) == ["v1+json"]


def test_a_layer_that_the_registry_lost_is_made_again(bench: Bench):
    async def case() -> None:
        await bench.environment()
        first = await bench.service()
        emptied = attrs.evolve(bench, registry=Watched(InMemoryRegistry()))
        await emptied.environment()
        assert await emptied.service() == first
        assert len(await emptied.held()) == 5

    asyncio.run(case())


def test_a_service_without_models_has_no_layer_of_them(bench: Bench):
    async def case() -> None:
        await bench.environment()
        await bench.service(models=None, model_names=())
        assert len(await bench.held()) == 4

    asyncio.run(case())


def test_an_image_that_holds_no_environment_is_no_ground_for_a_service(bench: Bench):
    async def case() -> None:
        await put_image(bench.registry, [layer({"a": b"a"})], repository=ENVIRONMENTS, tag=KEY)
        with pytest.raises(ImageUnbuildable, match="does not say which environments"):
            await bench.service()

    asyncio.run(case())


def test_what_an_environment_is_made_of_is_kept_before_it_can_be_found(bench: Bench):
    async def case() -> None:
        made = await bench.environment()
        (bill,) = await read_sboms(made, Repository(bench.registry, ENVIRONMENTS))
        document = json.loads(bill)
        assert {"mathy", "python", "libfoo"} <= {one["name"] for one in document["components"]}
        pushes = [what for method, what in bench.registry.calls if method == "push"]
        assert pushes[-1] == KEY  # the tag comes last of all

    asyncio.run(case())


def test_a_services_bill_names_its_environments_packages_and_the_runtime(bench: Bench):
    async def case() -> None:
        await bench.environment()
        made = await bench.service()
        source, target = Repository(bench.registry, ENVIRONMENTS), Repository(bench.registry, SERVICE)
        base = await find_base(source, KEY, AMD64)
        for _ in range(2):
            own = [package_of(bench.parts.runtime.path, bench.parts.runtime.digest)]
            await bill_upon(made, base, own, source=source, target=target)
        (bill,) = await read_sboms(made, target)
        found = {one["name"] for one in json.loads(bill)["components"]}
        assert {"mathy", "modelyard-runtime", "libfoo"} <= found

    asyncio.run(case())


def test_docker_steps_are_nothing_that_layers_can_do():
    order = BuildOrder(AMD64, ImageRef("r", "b", "d"), "images/bases", "t", docker_steps=("RUN true",))
    refusal = assembler().can_build(order)
    assert refusal is not None
    assert refusal.code == "steps_need_docker"
    assert assembler().can_build(attrs.evolve(order, docker_steps=())) is None


def test_places_in_layers_have_no_leading_slash():
    from modelyard.images.places import in_image

    assert in_image(PurePosixPath("/opt/modelyard/code")) == "opt/modelyard/code"


def test_layers_remembered_in_gzip_are_made_again_where_zstd_is_asked_for(bench: Bench):
    async def case() -> tuple[list[str], list[str]]:
        kinds = []
        for compression in ("gzip", "zstd"):
            one: Bench = attrs.evolve(bench, compression=compression)
            await one.environment()
            await one.service()
            kinds.append([blob.media_type for blob in (await bench.registry.pull(SERVICE, "1")).layers])
        return kinds[0], kinds[1]

    first, second = asyncio.run(case())
    assert [kind.rpartition(".")[2] for kind in first[1:]] == ["tar+gzip", "tar+gzip", "tar", "tar+gzip"]
    assert [kind.rpartition(".")[2] for kind in second[1:]] == ["tar+zstd", "tar+zstd", "tar", "tar+zstd"]
