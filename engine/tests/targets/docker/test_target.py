"""The docker target without a daemon: an engine that never used it asks nobody, and says what is missing."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from modelyard.api import (
    READABLE_LAYERS,
    Artifact,
    DeviceGrant,
    ImageRef,
    ImageTarget,
    ImageUnbuildable,
    NotFound,
    Replica,
    Unavailable,
    UserError,
)
from modelyard.containers import Daemon
from modelyard.processes import Home, find_home
from modelyard.targets import DockerTarget
from modelyard.targets.docker.belonging import Belonging
from modelyard.targets.docker.bringing import describe, tag_of
from modelyard.targets.docker.brought import Brought
from modelyard.testing.registries import InMemoryRegistry

from engine.tests.containers.fake_daemon import Answer, answers, fake_daemon

from .making import IMAGE, REPLICA, workload

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"


@pytest.fixture
def home() -> Iterator[Home]:
    root = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    made = find_home({"MODELYARD_HOME": str(root)})
    made.create()
    yield made
    shutil.rmtree(root)


@pytest.fixture
def alone(home: Home) -> DockerTarget:
    """A target on a machine without Docker."""
    return DockerTarget(home, Daemon(f"unix://{home.run}/none.sock"))


def test_it_is_a_target_of_images(alone: DockerTarget):
    assert isinstance(alone, ImageTarget)
    assert (alone.name, alone.artifact) == ("docker", "image")


def test_without_docker_an_engine_that_never_used_it_sees_nothing_and_deletes_nothing(alone: DockerTarget):
    async def case() -> tuple[Replica, ...]:
        await alone.drain(REPLICA)
        await alone.delete(REPLICA)
        return await alone.observe()

    assert asyncio.run(case()) == ()


def test_without_docker_a_plan_says_that_it_is_missing_and_what_to_do(alone: DockerTarget):
    with pytest.raises(Unavailable, match="no Docker daemon") as caught:
        asyncio.run(alone.candidates())
    assert "target: process" in caught.value.remedy


def test_with_replicas_a_daemon_that_is_down_is_no_empty_answer(alone: DockerTarget, home: Home):
    Belonging(home.state / "docker").claim()
    with pytest.raises(Unavailable):
        asyncio.run(alone.observe())


@pytest.mark.parametrize("name", ["../../etc", "digits", "digits-r1-abc123/x", "", "digits-r1-ABC123"])
def test_an_id_that_is_none_touches_nothing(alone: DockerTarget, name: str):
    calls: list[Any] = [alone.drain(name), alone.delete(name)]
    for call in calls:
        with pytest.raises(UserError, match="is not a replica id"):
            asyncio.run(call)


def test_the_log_of_an_unknown_replica_is_not_found(alone: DockerTarget):
    async def case() -> list[str]:
        return [line async for line in alone.logs(REPLICA, lines=5, follow=False)]

    with pytest.raises(NotFound):
        asyncio.run(case())


def test_a_workload_without_an_image_is_refused(alone: DockerTarget):
    with pytest.raises(UserError, match="needs an image"):
        asyncio.run(alone.apply(attrs.evolve(workload(), image=None)))


def with_nothing_running(more: Answer) -> Answer:
    def answer(method: str, path: str) -> tuple[int, Any]:
        return (200, []) if path == "/containers/json" else more(method, path)

    return answer


def with_image(more: Answer) -> Answer:
    def answer(method: str, path: str) -> tuple[int, Any]:
        return (
            (200, {"Id": "sha256:1", "RootFS": {"Layers": []}}) if "/images/" in path else more(method, path)
        )

    return answer


def test_devices_named_by_cdi_are_refused_before_anything_is_made(home: Home):
    asked: list[str] = []

    def answer(method: str, path: str) -> tuple[int, Any]:
        asked.append(f"{method} {path}")
        return with_image(answers())(method, path)

    asked_for = workload(grant=DeviceGrant(backend="gpu", cdi_names=("nvidia.com/gpu=0",)))
    with fake_daemon(home.run, answer) as address:
        target = DockerTarget(home, Daemon(address))
        with pytest.raises(UserError, match="CDI"):
            asyncio.run(target.apply(asked_for))
    assert not [one for one in asked if one.startswith("POST")]
    assert not Belonging(home.state / "docker").in_use


def test_an_image_that_is_not_there_is_named(home: Home):
    with fake_daemon(home.run, answers()) as address:
        target = DockerTarget(home, Daemon(address))
        with pytest.raises(Exception, match="is not in the Docker daemon") as caught:
            asyncio.run(target.apply(workload()))
    assert IMAGE.digest in str(caught.value)


def test_the_engines_name_is_made_once_and_stays(home: Home):
    first = Belonging(home.state / "docker").claim()
    again = Belonging(home.state / "docker")
    assert again.claim() == first
    again.release()
    assert (again.in_use, again.name()) == (False, first)
    (home.state / "docker" / "engine").write_text("../../x")
    assert again.name() == ""


def test_what_was_brought_is_remembered_until_it_is_forgotten(tmp_path: Path):
    brought = Brought(tmp_path / "images")
    assert brought.all() == []
    brought.remember(IMAGE)
    brought.remember(IMAGE)
    (tmp_path / "images" / "damaged.json").write_text("{")
    assert brought.all() == [IMAGE]
    assert brought.is_new(IMAGE)
    brought.forget(IMAGE)
    assert not brought.is_new(IMAGE)


def test_an_images_tag_says_whose_it_is():
    assert tag_of(IMAGE) == f"modelyard/digits:{'a' * 64}"


async def stored(registry: InMemoryRegistry, config: bytes, *, layers: int = 1) -> ImageRef:
    blobs = tuple([await registry.push_blob("x/y", f"layer {i}".encode(), "tar") for i in range(layers)])
    configured = await registry.push_blob("x/y", config, CONFIG_TYPE)
    manifest = await registry.push("x/y", Artifact(CONFIG_TYPE, blobs, config=configured))
    return ImageRef(registry.name, "x/y", manifest.digest)


def test_an_image_is_described_by_its_manifest_and_configuration():
    registry = InMemoryRegistry()
    config = json.dumps({"rootfs": {"diff_ids": ["sha256:d"]}}).encode()

    async def case() -> Any:
        return await describe(await stored(registry, config), registry)

    wanted = asyncio.run(case())
    assert wanted.archive.config == config
    assert wanted.archive.chain == ("sha256:d",)
    assert not wanted.has_zstd


@pytest.mark.parametrize("config", [b"{", b"[]", b'{"rootfs": {"diff_ids": []}}', b'{"rootfs": null}'])
def test_a_damaged_configuration_is_the_images_fault(config: bytes):
    registry = InMemoryRegistry()

    async def case() -> None:
        await describe(await stored(registry, config), registry)

    with pytest.raises(ImageUnbuildable, match="damaged"):
        asyncio.run(case())


def test_an_artifact_that_is_no_image_is_refused():
    registry = InMemoryRegistry()

    async def case() -> None:
        blob = await registry.push_blob("x/y", b"text", "text/plain")
        manifest = await registry.push("x/y", Artifact("text/plain", (blob,)))
        await describe(ImageRef("memory", "x/y", manifest.digest), registry)

    with pytest.raises(UserError, match="no container image"):
        asyncio.run(case())


def test_a_layer_in_zstd_is_refused_where_docker_cannot_read_it(home: Home):
    registry = InMemoryRegistry()
    config = json.dumps({"rootfs": {"diff_ids": ["sha256:d"]}}).encode()

    async def case(address: str) -> None:
        blob = await registry.push_blob("x/y", b"layer", "application/vnd.oci.image.layer.v1.tar+zstd")
        configured = await registry.push_blob("x/y", config, CONFIG_TYPE)
        manifest = await registry.push("x/y", Artifact(CONFIG_TYPE, (blob,), config=configured))
        target = DockerTarget(home, Daemon(address))
        await target.bring(ImageRef("memory", "x/y", manifest.digest), registry, on_line=lambda _line: None)

    with fake_daemon(home.run, answers()) as address, pytest.raises(UserError, match=r"zstd.*20\.10\.24"):
        asyncio.run(case(address))


@pytest.mark.parametrize(("api", "layers"), [("1.41", "gzip"), ("1.42", "gzip zstd"), ("1.51", "gzip zstd")])
def test_a_plan_hears_which_layers_docker_reads(home: Home, api: str, layers: str):
    told = answers(version={"ApiVersion": api}, info={"NCPU": 2, "MemTotal": 1 << 30})
    with fake_daemon(home.run, with_nothing_running(told)) as address:
        (place,) = asyncio.run(DockerTarget(home, Daemon(address)).candidates())
    assert place.labels[READABLE_LAYERS] == layers


def test_with_containerds_store_every_layer_is_sent(home: Home):
    """What layers that store has is not told, so none is left out."""
    loaded: list[str] = []
    info = {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
    config = json.dumps({"rootfs": {"diff_ids": ["sha256:d"]}}).encode()
    registry = InMemoryRegistry()

    def answer(method: str, path: str) -> tuple[int, Any]:
        if path == "/images/load":
            loaded.append(path)
            return 200, b'{"stream": "Loaded image"}'
        if path.startswith("/images/") and loaded:
            return 200, {"Id": "sha256:index", "RootFS": {"Layers": ["sha256:d"]}}
        return answers(info=info)(method, path)

    async def case(address: str) -> list[str]:
        lines: list[str] = []
        image = await stored(registry, config)
        await DockerTarget(home, Daemon(address)).bring(image, registry, on_line=lines.append)
        return lines

    with fake_daemon(home.run, answer) as address:
        lines = asyncio.run(case(address))
    assert lines[0].startswith("bringing x/y to Docker: 1 of 1 layers")
    assert lines[-1] == "brought x/y to Docker"
