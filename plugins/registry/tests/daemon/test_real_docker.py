"""A real Docker daemon keeps every promise of a registry, and what it has can be built upon."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import shutil
import subprocess
from collections.abc import Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from modelyard.api import Artifact, Descriptor, NotFound, Platform, Registry, UserError
from modelyard.images.platforms import platform_of
from modelyard.testing import RegistryConformance
from modelyard_registry import DockerDaemonRegistry
from modelyard_registry.daemon.spool import CONFIG_TYPE

from plugins.registry.tests.distribution.real import connect, logged_in, needs_registry, running
from tests.testbed.busybox import busybox_layer, put_busybox
from tests.testbed.docker_daemon import docker_client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
HERE = platform_of("x86_64")
T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@pytest.fixture
def docker(docker_address: str, tmp_path: Path) -> Iterator[DockerDaemonRegistry]:
    yield DockerDaemonRegistry(tmp_path / "spool", {"DOCKER_HOST": docker_address, "HOME": str(tmp_path)})
    with closing(docker_client(docker_address)) as client:
        for image in client.images.list():
            for tag in image.tags:
                if tag.startswith(("my-test", "127.0.0.1:")):
                    client.images.remove(tag, force=True)


class TestDockerDaemon(RegistryConformance):
    @pytest.fixture
    def registry(self, docker_address: str, tmp_path: Path) -> Registry:
        # the names of this suite are none that Docker is to look for elsewhere
        return DockerDaemonRegistry(tmp_path / "spool", {"DOCKER_HOST": docker_address}, pulls=False)


def test_a_pushed_image_is_dockers_and_comes_back_as_it_was(
    docker: DockerDaemonRegistry, docker_address: str
):
    async def case() -> None:
        pushed = await put_busybox(docker, "my-test/one", "1")
        assert await docker.list_tags("my-test/one") == ("1",)
        assert await docker.resolve("my-test/one", "1") == pushed
        assert await docker.resolve_platform("my-test/one", pushed.digest, HERE) == pushed
        artifact = await docker.pull("my-test/one", "1")
        layers = [await read(docker, layer.digest) for layer in artifact.layers]
        assert layers == [busybox_layer()]

    run(case())
    with closing(docker_client(docker_address)) as client:
        assert client.images.get("my-test/one:1").labels["kept"] == "yes"


async def read(registry: Registry, digest: str) -> bytes:
    return b"".join([chunk async for chunk in registry.read_blob("my-test/one", digest)])


def test_an_image_has_one_digest_whoever_exports_it(docker: DockerDaemonRegistry, tmp_path: Path):
    async def case() -> None:
        pushed = await put_busybox(docker, "my-test/one", "1")
        other = DockerDaemonRegistry(tmp_path / "other", docker.environ)
        assert await other.resolve("my-test/one", "1") == pushed

    run(case())


def test_compressed_layers_are_loaded_and_the_tag_moves(docker: DockerDaemonRegistry):
    async def case() -> None:
        await put_busybox(docker, "my-test/one", "1")
        layer = busybox_layer("compressed")
        document = {
            "os": HERE.os,
            "architecture": HERE.architecture,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
        blob = await docker.push_blob(
            "my-test/one", gzip.compress(layer), "application/vnd.oci.image.layer.v1.tar+gzip"
        )
        config = await docker.push_blob("my-test/one", json.dumps(document).encode(), CONFIG_TYPE)
        artifact = Artifact(CONFIG_TYPE, (blob,), config=config)
        pushed = await docker.push("my-test/one", artifact, tag="1")
        assert await docker.resolve("my-test/one", "1") == pushed
        assert await docker.pull("my-test/one", "1") == artifact

    run(case())


def test_an_artifact_never_hides_an_image_of_its_name(docker: DockerDaemonRegistry):
    async def case() -> None:
        await put_busybox(docker, "my-test/one", "1")
        layer = await docker.push_blob("my-test/one", b"x", "t/t")
        with pytest.raises(UserError, match="image of this name"):
            await docker.push("my-test/one", Artifact("t/t", (layer,)), tag="1")

    run(case())


def test_an_image_for_another_platform_is_not_found_and_stays(docker: DockerDaemonRegistry):
    async def case() -> None:
        pushed = await put_busybox(docker, "my-test/one", "1")
        with pytest.raises(NotFound, match="not for linux/riscv64"):
            await docker.resolve_platform("my-test/one", "1", Platform("linux", "riscv64"))
        assert await docker.resolve("my-test/one", "1") == pushed

    run(case())


def test_a_deleted_tag_is_dockers_no_more_and_another_one_stays(docker: DockerDaemonRegistry):
    async def case() -> None:
        for tag in ("1", "2"):
            pushed = await put_busybox(docker, "my-test/one", tag)
        await docker.delete("my-test/one", "1")
        assert await docker.list_tags("my-test/one") == ("2",)
        await docker.delete("my-test/one", pushed.digest)
        with pytest.raises(NotFound):
            await docker.list_tags("my-test/one")

    run(case())


def test_an_image_that_was_removed_meanwhile_is_exported_no_more(
    docker: DockerDaemonRegistry, docker_address: str, tmp_path: Path
):
    without_pulls = DockerDaemonRegistry(tmp_path / "spool", docker.environ, pulls=False)

    async def case() -> Descriptor:
        return await put_busybox(docker, "my-test/one", "1")

    pushed = run(case())
    with closing(docker_client(docker_address)) as client:
        client.images.remove("my-test/one:1")
    for reference in ("1", pushed.digest):
        with pytest.raises(NotFound):
            run(without_pulls.resolve("my-test/one", reference))


@needs_registry
def test_what_docker_lacks_it_pulls_with_its_own_logins(docker: DockerDaemonRegistry, tmp_path: Path):
    with running(tmp_path / "real", has_password=True) as real:
        name = f"{real.host}/models/digits"
        environ = logged_in(real)
        pushed = run(put_busybox(connect(real, environ), "models/digits", "1"))
        with pytest.raises(UserError, match="docker login") as caught:
            run(docker.resolve(name, "1"))
        assert real.host in caught.value.remedy
        knowing = DockerDaemonRegistry(tmp_path / "spool", {**docker.environ, **environ})

        async def case() -> None:
            found = await knowing.resolve_platform(name, "1", HERE)
            assert await knowing.resolve(name, pushed.digest) == found
            artifact = await knowing.pull(name, found.digest)
            assert artifact.config is not None
            assert (
                artifact.config.digest
                == (await connect(real, environ).pull("models/digits", "1")).config.digest
            )  # type: ignore[union-attr]
            with pytest.raises(NotFound):
                await knowing.resolve(name, "nothing")

        run(case())


def test_other_peoples_tools_read_the_spool(docker: DockerDaemonRegistry):
    if shutil.which("skopeo") is None:
        pytest.skip("needs skopeo, the tool other people use")
    pushed = run(put_busybox(docker, "my-test/one", "1"))
    config = run(docker.pull("my-test/one", "1")).config
    assert config is not None
    source = f"oci:{docker.spool_root}:images:{config.digest.removeprefix('sha256:')}"
    told = subprocess.run(["skopeo", "inspect", source], capture_output=True, check=True, timeout=30)
    assert json.loads(told.stdout)["Digest"] == pushed.digest
