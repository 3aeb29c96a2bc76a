"""The client keeps every registry's promise against the distribution project's own server."""

from __future__ import annotations

import asyncio
import functools
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import pytest
from modelyard.api import Artifact, Descriptor, NotFound, Registry, Unavailable, UserError
from modelyard.testing import RegistryConformance
from modelyard_registry.distribution import DistributionRegistry
from modelyard_registry.distribution.session import Limits

from plugins.registry.tests.distribution.cutting import cutting
from plugins.registry.tests.distribution.growing import GrowingContent
from plugins.registry.tests.distribution.real import (
    RealRegistry,
    connect,
    logged_in,
    needs_registry,
    run,
    running,
)

pytestmark = needs_registry
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
LARGE = os.urandom(3_000_000)
Servers = Callable[..., RealRegistry]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Start each kind of server once: a prefix of its own keeps a test's repositories from the others'."""
    with ExitStack() as running_ones:

        @functools.cache
        def server(**kind: bool) -> RealRegistry:
            return running_ones.enter_context(running(tmp_path_factory.mktemp("registry"), **kind))

        yield server


@pytest.fixture
def prefix() -> str:
    return f"team-{uuid.uuid4().hex}/models"


class TestPlainRegistry(RegistryConformance):
    @pytest.fixture
    def registry(self, plain: RealRegistry) -> Registry:
        return connect(plain)


class TestRegistryWithAPrefix(RegistryConformance):
    @pytest.fixture
    def registry(self, servers: Servers, prefix: str) -> Registry:
        return connect(servers(), prefix=prefix)


class TestRegistryWithAPassword(RegistryConformance):
    @pytest.fixture
    def registry(self, servers: Servers, prefix: str) -> Registry:
        real = servers(has_password=True)
        return connect(real, logged_in(real), prefix=prefix)


class TestRegistryWithAPrivateAuthority(RegistryConformance):
    @pytest.fixture
    def registry(self, servers: Servers, prefix: str) -> Registry:
        return connect(servers(has_tls=True), prefix=prefix)


def test_who_is_nobody_is_refused_with_the_command_that_logs_in(tmp_path: Path):
    with running(tmp_path / "password", has_password=True) as real:
        for environ in ({"HOME": str(tmp_path)}, logged_in(real, "wrong")):
            with pytest.raises(UserError, match=f"docker login {real.host}") as caught:
                run(connect(real, environ).resolve("models/digits", "1"))
            assert "wrong" not in str(caught.value)


def test_a_server_whose_authority_nobody_named_is_not_trusted(tmp_path: Path):
    with running(tmp_path / "tls", has_tls=True) as real:
        server = connect(real).server
        with pytest.raises(UserError, match="ca_file") as caught:
            run(DistributionRegistry(attrs.evolve(server, ca_file=None)).resolve("models/digits", "1"))
    assert "cannot be trusted" in caught.value.message


def test_a_large_blob_goes_in_pieces_and_comes_back_whole(plain: RealRegistry, tmp_path: Path):
    file = write(tmp_path / "weights", LARGE)
    registry, told = connect(plain, limits=Limits(chunk_bytes=1_000_000)), list[int]()

    async def case() -> bytes:
        def progress(sent: int, of: int) -> None:
            assert of == len(LARGE)
            told.append(sent)

        pushed = await registry.push_blob("models/digits", file, LAYER_TYPE, progress=progress)
        return b"".join([piece async for piece in registry.read_blob("models/digits", pushed.digest)])

    assert run(case()) == LARGE
    assert told == sorted(told)
    assert told[-1] == len(LARGE)
    assert len(told) > 3


@pytest.mark.parametrize("after_bytes", [300_000, 1_700_000])
def test_an_upload_over_a_line_that_is_cut_arrives_whole(plain: RealRegistry, after_bytes: int):
    with cutting(plain.host, after_bytes=after_bytes) as line:
        registry = connect(attrs.evolve(plain, host=line.host), limits=Limits(chunk_bytes=1_000_000))
        pushed = run(registry.push_blob("models/digits", LARGE, LAYER_TYPE))
    assert line.cuts == 1
    assert run(read_back(plain, pushed)) == LARGE


async def read_back(real: RealRegistry, pushed: Descriptor) -> bytes:
    return b"".join([piece async for piece in connect(real).read_blob("models/digits", pushed.digest)])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give the registry a disk of its own")
def test_a_registry_whose_disk_is_full_says_so(tmp_path: Path):
    with small_disk(tmp_path / "real" / "data", "2m"), running(tmp_path / "real") as real:
        registry = connect(real)
        for source in (LARGE, write(tmp_path / "weights", LARGE)):
            with pytest.raises(Unavailable, match="full"):
                run(registry.push_blob("models/digits", source, LAYER_TYPE))


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(parents=True)
    mount, unmount = (
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        ["umount", str(folder)],
    )
    if subprocess.run(mount, capture_output=True, check=False, timeout=10).returncode != 0:
        pytest.skip("needs the right to mount a disk")
    try:
        yield
    finally:
        subprocess.run(unmount, check=True, timeout=10)


def write(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def test_many_blobs_are_pushed_at_once(plain: RealRegistry):
    contents = [bytes([number]) * 100_000 for number in range(12)]

    async def case() -> list[bool]:
        registry = connect(plain)
        pushed = await asyncio.gather(*(registry.push_blob("models/digits", one, "t/t") for one in contents))
        return [await registry.has_blob("models/digits", one.digest) for one in pushed]

    assert run(case()) == [True] * len(contents)


def test_tags_are_listed(plain: RealRegistry):
    registry = connect(plain)

    async def case() -> None:
        assert await push_artifact(registry, "1") == await push_artifact(registry, "2")
        assert set(await registry.list_tags("models/digits")) == {"1", "2"}
        await registry.delete("models/digits", "1")
        assert await registry.list_tags("models/digits") == ("2",)
        with pytest.raises(NotFound):
            await registry.list_tags("models/none")

    run(case())


def test_a_deleted_digest_takes_its_tags_along(plain: RealRegistry):
    registry = connect(plain)

    async def case() -> None:
        pushed = await push_artifact(registry, "1")
        await registry.delete("models/digits", pushed.digest)
        for reference in ("1", pushed.digest):
            with pytest.raises(NotFound):
                await registry.resolve("models/digits", reference)

    run(case())


def test_a_registry_that_deletes_nothing_says_how_to_switch_it_on_and_keeps_its_tags(tmp_path: Path):
    with running(tmp_path / "kept", deletes=False) as real:
        registry = connect(real)

        async def case() -> None:
            pushed = await push_artifact(registry, "1")
            for reference in ("1", pushed.digest):
                with pytest.raises(UserError, match=r"storage\.delete\.enabled"):
                    await registry.delete("models/digits", reference)
            assert await registry.resolve("models/digits", "1") == pushed

        run(case())


async def push_artifact(registry: DistributionRegistry, tag: str) -> Descriptor:
    layer = await registry.push_blob("models/digits", b"weights", "application/octet-stream")
    return await registry.push("models/digits", Artifact("application/vnd.modelyard.test", (layer,)), tag=tag)


@pytest.mark.parametrize("after_bytes", [10_000_000, 300_000, 1_700_000])
def test_a_blob_that_is_written_meanwhile_arrives_whole(
    plain: RealRegistry, tmp_path: Path, after_bytes: int
):
    growing = GrowingContent(tmp_path / "layer", LARGE, step=400_000)
    with cutting(plain.host, after_bytes=after_bytes) as line:
        registry = connect(attrs.evolve(plain, host=line.host), limits=Limits(chunk_bytes=500_000))
        pushed = run(registry.push_growing("models/digits", growing))
    assert line.cuts == (after_bytes < len(LARGE))
    assert run(read_back(plain, pushed)) == LARGE


def test_a_layer_of_a_base_is_mounted_from_the_record_that_has_it(plain: RealRegistry):
    bases, company = connect(plain), connect(plain, prefix="company")
    pushed = run(bases.push_blob("base/python", LARGE, LAYER_TYPE))
    address = bases.address("base/python")
    assert run(company.mount_from("images/digits", pushed.digest, address))
    assert run(company.has_blob("images/digits", pushed.digest))
