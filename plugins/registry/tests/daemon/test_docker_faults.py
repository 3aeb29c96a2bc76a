"""A daemon that is away, breaks off, is full or lies: every call says so, and the spool never keeps half an image."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
from modelyard.api import Artifact, NotFound, Platform, StoreDamaged, Unavailable
from modelyard_registry import DockerDaemonRegistry
from modelyard_registry.daemon.connection import Docker
from modelyard_registry.daemon.spool import CONFIG_TYPE, IMAGES, KEPT_SECONDS, Spool, Stop

from tests.testbed.fake_docker import Answer, Handler, fake_docker

T = TypeVar("T")
LAYER = b"layer" * 100_000
ABSENT = f"sha256:{'0' * 64}"


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@attrs.frozen
class FakeImage:
    """An image of one layer that a false daemon has."""

    layer: bytes = LAYER

    @property
    def diff_id(self) -> str:
        return f"sha256:{hashlib.sha256(self.layer).hexdigest()}"

    @property
    def config(self) -> bytes:
        return json.dumps(
            {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [self.diff_id]}}
        ).encode()

    @property
    def id(self) -> str:
        return f"sha256:{hashlib.sha256(self.config).hexdigest()}"

    @property
    def archive(self) -> bytes:
        output = io.BytesIO()
        members = {
            "c.json": self.config,
            "l/layer.tar": self.layer,
            "manifest.json": json.dumps([{"Config": "c.json", "Layers": ["l/layer.tar"]}]).encode(),
        }
        with tarfile.open(fileobj=output, mode="w") as tar:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return output.getvalue()

    def inspected(self, request: Handler) -> None:
        layers = {"Layers": [self.diff_id]}
        request.json(
            {"Id": self.id, "Os": "linux", "Architecture": "amd64", "RootFS": layers, "RepoTags": ["bb:1"]}
        )

    def saved(self, request: Handler) -> None:
        request.stream(pieces(self.archive))

    def routes(self, **other: Answer) -> Mapping[str, Answer]:
        named = {"inspect": self.inspected, "save": self.saved, **other}
        paths = {"inspect": r"GET /images/.*/json", "save": r"GET /images/.*/get"}
        return {paths[name]: answer for name, answer in named.items()}


def pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 65_536):
        yield content[start : start + 65_536]


async def read(registry: DockerDaemonRegistry, digest: str) -> bytes:
    return b"".join([chunk async for chunk in registry.read_blob("bb", digest)])


CALLS: dict[str, Callable[[DockerDaemonRegistry], Coroutine[Any, Any, Any]]] = {
    "list_tags": lambda registry: registry.list_tags("bb"),
    "resolve": lambda registry: registry.resolve("bb", "1"),
    "resolve_platform": lambda registry: registry.resolve_platform("bb", "1", Platform("linux", "amd64")),
    "has_blob": lambda registry: registry.has_blob("bb", ABSENT),
    "push_blob": lambda registry: registry.push_blob("bb", b"x", "t/t"),
    "push": lambda registry: registry.push("bb", Artifact("t/t", ())),
    "pull": lambda registry: registry.pull("bb", "1"),
    "read_blob": lambda registry: read(registry, ABSENT),
    "mount": lambda registry: registry.mount("bb", ABSENT, "cc"),
    "delete": lambda registry: registry.delete("bb", "1"),
}


@pytest.mark.parametrize("call", CALLS)
def test_without_a_daemon_every_call_names_the_socket_and_a_remedy(call: str, tmp_path: Path):
    address = f"unix://{tmp_path}/none.sock"
    registry = DockerDaemonRegistry(tmp_path / "spool", {"DOCKER_HOST": address})
    with pytest.raises(Unavailable, match="no Docker daemon answers") as caught:
        run(CALLS[call](registry))
    assert caught.value.place == address
    assert "DOCKER_HOST" in caught.value.remedy
    assert not (tmp_path / "spool").exists()


def test_an_image_is_exported_once_and_read_from_the_spool(short_folder: Path):
    image, asked = FakeImage(), list[str]()

    def saved(request: Handler) -> None:
        asked.append(request.path)
        image.saved(request)

    with fake_docker(short_folder, image.routes(save=saved)) as environ:
        registry = DockerDaemonRegistry(short_folder / "spool", environ)

        async def case() -> None:
            found = await registry.resolve("bb", "1")
            again = await DockerDaemonRegistry(short_folder / "spool", environ).resolve("bb", "1")
            assert found == again == await registry.resolve("bb", found.digest)
            artifact = await registry.pull("bb", found.digest)
            assert [await read(registry, layer.digest) for layer in artifact.layers] == [image.layer]
            assert artifact.config is not None
            assert await read(registry, artifact.config.digest) == image.config

        run(case())
    assert len(asked) == 1


def test_ten_that_want_an_image_at_once_make_one_export_of_it(short_folder: Path):
    image, asked = FakeImage(), list[str]()

    def saved(request: Handler) -> None:
        asked.append(request.path)
        image.saved(request)

    with fake_docker(short_folder, image.routes(save=saved)) as environ:

        async def case() -> set[str]:
            ten = (
                DockerDaemonRegistry(short_folder / "spool", environ).resolve("bb", "1") for _ in range(10)
            )
            return {found.digest for found in await asyncio.gather(*ten)}

        assert len(run(case())) == 1
    assert len(asked) == 1


def test_an_export_that_breaks_off_is_no_image_and_the_next_one_is(short_folder: Path):
    image, breaks = FakeImage(), [True]

    def saved(request: Handler) -> None:
        if breaks:
            request.stream(pieces(image.archive[: int(breaks.pop()) * 300_000]), cut=True)
        else:
            image.saved(request)

    with fake_docker(short_folder, image.routes(save=saved)) as environ:
        registry = DockerDaemonRegistry(short_folder / "spool", environ)
        with pytest.raises((Unavailable, StoreDamaged)):
            run(registry.resolve("bb", "1"))
        assert registry.spool.layout.read_index().entries == ()
        assert run(registry.resolve("bb", "1"))


def test_layers_that_are_not_those_of_the_image_are_refused(short_folder: Path):
    image = FakeImage()
    routes = image.routes(save=FakeImage(b"another").saved)
    with fake_docker(short_folder, routes) as environ:
        registry = DockerDaemonRegistry(short_folder / "spool", environ)
        with pytest.raises(StoreDamaged, match="not those"):
            run(registry.resolve("bb", "1"))


def test_an_image_that_is_removed_while_it_is_asked_for_is_not_found(short_folder: Path):
    def gone(request: Handler) -> None:
        request.json({"message": "No such image: bb:1"}, 404)

    with fake_docker(short_folder, FakeImage().routes(save=gone)) as environ, pytest.raises(NotFound):
        run(DockerDaemonRegistry(short_folder / "spool", environ).resolve("bb", "1"))


async def push_image(registry: DockerDaemonRegistry, image: FakeImage) -> None:
    layer = await registry.push_blob("bb", image.layer, "application/vnd.oci.image.layer.v1.tar")
    config = await registry.push_blob("bb", image.config, CONFIG_TYPE)
    await registry.push("bb", Artifact(CONFIG_TYPE, (layer,), config=config), tag="1")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("write /x: no space left on device", "full"),
        ("archive/tar: invalid tar header", "invalid tar header"),
    ],
)
def test_an_image_that_the_daemon_cannot_load_gets_no_tag(short_folder: Path, said: str, why: str):
    tagged: list[str] = []

    def load(request: Handler) -> None:
        request.body()
        request.stream(iter([json.dumps({"error": said, "errorDetail": {"message": said}}).encode() + b"\n"]))

    routes = {"POST /images/load": load, r"POST /images/.*/tag": lambda request: tagged.append(request.path)}
    with fake_docker(short_folder, routes) as environ, pytest.raises(Unavailable, match=why):
        run(push_image(DockerDaemonRegistry(short_folder / "spool", environ), FakeImage()))
    assert tagged == []


def test_an_image_that_is_read_back_otherwise_gets_no_tag(short_folder: Path):
    def load(request: Handler) -> None:
        request.body()
        request.stream(iter([b'{"stream": "Loaded image ID: x"}\n']))

    routes = {"POST /images/load": load, **FakeImage(b"another").routes()}
    with fake_docker(short_folder, routes) as environ, pytest.raises(StoreDamaged, match="otherwise"):
        run(push_image(DockerDaemonRegistry(short_folder / "spool", environ), FakeImage()))


def test_an_export_that_nobody_asked_for_in_a_week_is_dropped(short_folder: Path):
    now, old, new = [1000.0], FakeImage(b"old"), FakeImage(b"new")
    spool = Spool(short_folder / "spool", lambda: now[0])
    for image in (old, new):
        with fake_docker(short_folder, image.routes()) as environ:
            docker = Docker(environ)
            found = docker.find("bb:1")
            assert found is not None
            spool.export(docker, found, Stop())
            now[0] += KEPT_SECONDS + 1
        (short_folder / "docker.sock").unlink()
    assert [entry.tag for entry in spool.layout.read_index().entries if entry.repository == IMAGES] == [
        new.id.removeprefix("sha256:")
    ]
    assert not spool.layout.blob(old.diff_id).exists()


def test_whoever_no_longer_waits_ends_the_export(short_folder: Path):
    image = FakeImage()
    header = tarfile.TarInfo("l/layer.tar")
    header.size = 1 << 32

    def endless(request: Handler) -> None:
        def slowly() -> Iterator[bytes]:
            yield header.tobuf()
            while True:
                time.sleep(0.01)
                yield bytes(65_536)

        request.stream(slowly())

    with fake_docker(short_folder, image.routes(save=endless)) as environ:
        registry = DockerDaemonRegistry(short_folder / "spool", environ)

        async def case() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await registry.resolve("bb", "1")

        run(case())  # the loop waits for its threads: it would never end
        assert registry.spool.layout.read_index().entries == ()
