"""An image is assembled whole or not at all, and only what is missing is sent."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
from pathlib import Path

import attrs
import pytest
from modelyard.api import Artifact, Descriptor, ImageUnbuildable, NotFound, Registry, StoreDamaged
from modelyard.images import (
    Addition,
    Image,
    Part,
    Repository,
    Start,
    assemble,
    find_base,
    list_files,
    list_tree,
)
from modelyard.testing import InMemoryRegistry

from engine.tests.images.making import (
    AMD64,
    BASES,
    CONFIG_TYPE,
    Killed,
    OnAServer,
    Watched,
    base_config,
    made_base,
    read,
)

TARGET = "images/services/digits"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {
        "env/lib/python3.11/site-packages/mathy.py": "VERSION = '1.0'\n",
        "wheels/modelyard_runtime-0.1-py3-none-any.whl": "a wheel",
        "model/weights.bin": "weights" * 100,
        "code/score.py": "def run(data): return data\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "work").mkdir()
    return tmp_path


def additions(project: Path) -> list[Addition]:
    wheel = project / "wheels/modelyard_runtime-0.1-py3-none-any.whl"
    return [
        Addition(Part.CODE, list_tree(project / "code", "opt/code")),
        Addition(Part.MODELS, list_tree(project / "model", "opt/model")),
        Addition(Part.RUNTIME, list_files({f"opt/wheels/{wheel.name}": wheel})),
        Addition(Part.ENVIRONMENT, list_tree(project / "env", "opt/env")),
    ]


async def build(
    registry: Registry, project: Path, *, bases: Registry | None = None, tag: str = "1"
) -> Descriptor:
    source = bases or registry
    image = Image(
        base=await made_base(source),
        additions=additions(project),
        title="digits",
        start=Start(entrypoint=("/opt/env/bin/serve",)),
    )
    return await assemble(
        image,
        source=Repository(source, BASES),
        target=Repository(registry, TARGET),
        tag=tag,
        folder=project / "work",
    )


def names(content: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as tar:
        return {one.name for one in tar if one.isfile()}


@pytest.mark.parametrize("bases", [None, InMemoryRegistry(name="theirs")])
def test_its_layers_lie_in_order_and_hold_what_was_given(project: Path, bases: Registry | None):
    registry = InMemoryRegistry()

    async def case() -> None:
        await build(registry, project, bases=bases)
        artifact = await registry.pull(TARGET, "1")
        held = [names(await read(registry, TARGET, layer.digest)) for layer in artifact.layers]
        assert held == [
            {"usr/bin/python3"},
            {"opt/env/lib/python3.11/site-packages/mathy.py"},
            {"opt/wheels/modelyard_runtime-0.1-py3-none-any.whl"},
            {"opt/model/weights.bin"},
            {"opt/code/score.py"},
        ]

    asyncio.run(case())
    assert list((project / "work").iterdir()) == []


def test_weights_are_stored_as_they_are_and_packages_compressed(project: Path):
    registry = InMemoryRegistry()

    async def case() -> None:
        await build(registry, project)
        kinds = [one.media_type.rpartition(".")[2] for one in (await registry.pull(TARGET, "1")).layers]
        assert kinds == ["tar+gzip", "tar+gzip", "tar+gzip", "tar", "tar+gzip"]

    asyncio.run(case())


def test_its_configuration_matches_its_layers(project: Path):
    registry = InMemoryRegistry()

    async def case() -> None:
        await build(registry, project)
        artifact = await registry.pull(TARGET, "1")
        assert artifact.config
        assert artifact.artifact_type == artifact.config.media_type == CONFIG_TYPE
        config = json.loads(await read(registry, TARGET, artifact.config.digest))
        diff_ids = config["rootfs"]["diff_ids"]
        assert len(diff_ids) == len(artifact.layers)
        assert diff_ids[0] == base_config()["rootfs"]["diff_ids"][0]
        # an uncompressed layer is its own tar
        assert diff_ids[3] == artifact.layers[3].digest

    asyncio.run(case())


def test_the_same_image_has_the_same_digest_in_another_registry(project: Path):
    one = asyncio.run(build(InMemoryRegistry(), project))
    assert asyncio.run(build(InMemoryRegistry(), project, tag="other")) == one


def test_a_second_assembly_pushes_no_layer(project: Path):
    registry = Watched(InMemoryRegistry())
    asyncio.run(build(registry, project))
    registry.calls.clear()
    asyncio.run(assemble_again(registry, project))
    assert pushed(registry) == ["config"]


async def assemble_again(registry: Watched, project: Path) -> Descriptor:
    """Assemble as `build` does, without putting the base there again."""
    base = await made_base(registry.inner)
    start = Start(entrypoint=("/opt/env/bin/serve",))
    return await assemble(
        Image(base, additions(project), "digits", start=start),
        source=Repository(registry, BASES),
        target=Repository(registry, TARGET),
        tag="2",
        folder=project / "work",
    )


def pushed(registry: Watched) -> list[str]:
    blobs = [what for method, what in registry.calls if method == "push_blob"]
    return ["config" if what == CONFIG_TYPE else what.rpartition(".")[2] for what in blobs]


def test_a_change_of_code_pushes_one_layer_the_configuration_and_the_manifest(project: Path):
    registry = Watched(InMemoryRegistry())
    before = asyncio.run(build(registry.inner, project))
    (project / "code/score.py").write_text("def run(data): return 2 * data\n")
    after = asyncio.run(assemble_again(registry, project))
    assert pushed(registry) == ["tar+gzip", "config"]
    assert registry.count("push") == 1
    assert registry.count("mount") == registry.count("read_blob") == 0
    assert after.digest != before.digest


def test_a_layer_that_the_registry_lost_on_the_way_is_sent_again(project: Path):
    @attrs.define
    class Lossy(InMemoryRegistry):
        """Says that it has a layer which it lost, until it refuses the manifest."""

        lost: str = ""

        async def has_blob(self, repository: str, digest: str) -> bool:
            return digest == self.lost or await super().has_blob(repository, digest)

        async def push(self, repository: str, artifact: Artifact, *, tag: str = "") -> Descriptor:
            if self.lost and repository == TARGET:
                self.lost = ""
                raise NotFound("the registry lacks a blob")
            return await super().push(repository, artifact, tag=tag)

    whole = InMemoryRegistry()

    async def case() -> None:
        made = await build(whole, project)
        registry = Lossy(lost=(await whole.pull(TARGET, "1")).layers[-1].digest)
        assert await build(registry, project) == made
        assert await read(registry, TARGET, (await registry.pull(TARGET, "1")).layers[-1].digest)

    asyncio.run(case())


def test_the_tag_is_the_last_that_is_written(project: Path):
    registry = Watched(InMemoryRegistry())
    asyncio.run(build(registry, project))
    assert registry.calls[-1] == ("push", "1")


@pytest.mark.parametrize("theirs", [False, True])
def test_killed_before_any_step_it_leaves_no_tag_and_the_next_try_succeeds(project: Path, *, theirs: bool):
    whole = asyncio.run(build(InMemoryRegistry(), project))
    steps = 0
    while True:
        registry = Watched(InMemoryRegistry(name="ours"))
        bases = InMemoryRegistry(name="theirs") if theirs else registry.inner
        asyncio.run(made_base(bases))
        registry.dies_at = steps
        try:
            asyncio.run(finish(registry, bases, project))
        except Killed:
            with pytest.raises(NotFound):
                asyncio.run(registry.inner.resolve(TARGET, "1"))
            assert list((project / "work").iterdir()) == []
        else:
            break
        registry.dies_at = -1
        assert asyncio.run(finish(registry, bases, project)) == whole
        steps += 1
    # every blob is looked for and brought or pushed, then the configuration and the manifest
    assert steps == 2 * 5 + 2


async def finish(registry: Watched, bases: Registry, project: Path) -> Descriptor:
    start = Start(entrypoint=("/opt/env/bin/serve",))
    return await assemble(
        Image(await made_base(bases), additions(project), "digits", start=start),
        source=Repository(bases, BASES),
        target=Repository(registry, TARGET),
        tag="1",
        folder=project / "work",
    )


async def leaves_no_image(image: Image, registry: InMemoryRegistry, folder: Path) -> None:
    with pytest.raises(ImageUnbuildable, match="changed while it was read"):
        await assemble(
            image,
            source=Repository(registry, BASES),
            target=Repository(registry, TARGET),
            tag="1",
            folder=folder,
        )
    with pytest.raises(NotFound):
        await registry.resolve(TARGET, "1")


def test_a_file_that_changes_meanwhile_leaves_no_image(project: Path):
    registry = InMemoryRegistry()

    async def case() -> None:
        image = Image(await made_base(registry), additions(project), "digits")
        (project / "code/score.py").write_text("longer than it was when it was listed\n")
        await leaves_no_image(image, registry, project / "work")

    asyncio.run(case())


def test_a_service_stands_on_the_image_of_its_environment(project: Path):
    registry = Watched(InMemoryRegistry())
    environments, services = Repository(registry, "images/environments"), Repository(registry, TARGET)
    environment, runtime, models, code = sorted(additions(project), key=lambda addition: addition.part)

    async def case() -> None:
        below = Image(
            await made_base(registry), [environment], "environment", "key", Start(variables={"A": "1"})
        )
        source = Repository(registry, BASES)
        made = await assemble(below, source=source, target=environments, tag="key", folder=project / "work")
        registry.calls.clear()
        base = await find_base(environments, "key", AMD64)
        service = Image(base, [code, models, runtime], "digits", "7", Start(variables={"B": "2"}))
        await assemble(service, source=environments, target=services, tag="7", folder=project / "work")
        artifact = await registry.pull(TARGET, "7")
        assert artifact.layers[:2] == (await registry.pull("images/environments", "key")).layers
        assert len(artifact.layers) == 5
        assert artifact.config
        running = json.loads(await read(registry, TARGET, artifact.config.digest))["config"]
        assert {"A=1", "B=2"} <= set(running["Env"])
        assert running["Labels"]["org.opencontainers.image.base.digest"] == made.digest
        assert running["Labels"]["org.opencontainers.image.revision"] == "7"

    asyncio.run(case())
    assert pushed(registry) == ["tar+gzip", "tar", "tar+gzip", "config"]


def test_to_a_server_a_layer_is_sent_while_it_is_written(project: Path):
    (project / "model/weights.bin").write_bytes(os.urandom(20_000_000))
    registry = OnAServer()
    manifest = asyncio.run(build(registry, project))
    whole = [one.size for one in asyncio.run(registry.pull(TARGET, "1")).layers]
    assert registry.begun[2] < whole[3]
    assert asyncio.run(build(InMemoryRegistry(), project)) == manifest
    assert list((project / "work").iterdir()) == []


def test_a_file_that_changes_while_its_layer_is_sent_leaves_no_image(project: Path):
    registry = OnAServer()

    async def case() -> None:
        image = Image(await made_base(registry), additions(project), "digits")
        (project / "model/weights.bin").write_bytes(os.urandom(10_000_000))
        await leaves_no_image(image, registry, project / "work")

    asyncio.run(case())
    assert list((project / "work").iterdir()) == []


class Garbling(InMemoryRegistry):
    """What it stores is not what it was given."""

    async def push_blob(self, repository: str, source: Path | bytes, media_type: str) -> Descriptor:
        if isinstance(source, Path):
            return await super().push_blob(repository, b"noise", media_type)
        return await super().push_blob(repository, source, media_type)


def test_a_registry_that_stores_other_bytes_is_noticed(project: Path):
    with pytest.raises(StoreDamaged, match="otherwise than it was written"):
        asyncio.run(build(Garbling(), project))
