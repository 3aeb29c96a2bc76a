"""One image in two kinds of registries: the server other people run, and the folder of the engine."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from modelyard.api import Descriptor, NotFound, Platform
from modelyard.images import Addition, Image, Part, Repository, assemble, find_base, list_tree
from modelyard_registry.distribution import DistributionRegistry
from modelyard_registry.distribution.servers import parse_servers
from modelyard_registry.layout import OciLayoutRegistry
from modelyard_registry.manifests import INDEX_TYPE

from engine.tests.images.making import BASES, Watched, base_config, put_base
from plugins.registry.tests.distribution.real import RealRegistry, needs_registry, needs_skopeo, running

pytestmark = needs_registry
ARM64 = Platform("linux", "arm64")


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealRegistry]:
    with running(tmp_path / "real") as server:
        yield server


@pytest.fixture
def server(real: RealRegistry) -> DistributionRegistry:
    (found,), _ = parse_servers(f'[registry.real]\nhost = "{real.host}"\n'.encode())
    return DistributionRegistry(found, {"HOME": str(real.folder)})


async def put_bases(server: DistributionRegistry) -> dict[str, Descriptor]:
    """Store a base for two platforms under one tag."""
    built = {
        kind: await put_base(server, tag=kind, config=base_config(architecture=kind))
        for kind in ("amd64", "arm64")
    }
    manifests = [
        {
            "mediaType": one.media_type,
            "digest": one.digest,
            "size": one.size,
            "platform": {"os": "linux", "architecture": kind},
        }
        for kind, one in built.items()
    ]
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests}
    await server.push_document(BASES, json.dumps(index).encode(), INDEX_TYPE, tag="3")
    return built


async def assembled(source: Repository, target: Repository, folder: Path) -> Descriptor:
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code/score.py").write_text("def run(data): return data\n")
    (folder / "work").mkdir(exist_ok=True)
    base = await find_base(source, "3", ARM64)
    image = Image(base, [Addition(Part.CODE, list_tree(folder / "code", "opt/code"))], "digits")
    return await assemble(image, source=source, target=target, tag="1", folder=folder / "work")


def test_the_image_for_the_platform_is_built_upon(server: DistributionRegistry):
    async def case() -> None:
        built = await put_bases(server)
        found = await find_base(Repository(server, BASES), "3", ARM64)
        assert found.digest == built["arm64"].digest
        with pytest.raises(NotFound, match="linux/riscv64"):
            await find_base(Repository(server, BASES), "3", Platform("linux", "riscv64"))

    asyncio.run(case())


def test_the_server_mounts_the_base_and_the_folder_copies_it_to_the_same_image(
    server: DistributionRegistry, tmp_path: Path
):
    watched = Watched(server)

    async def case() -> None:
        await put_bases(server)
        source = Repository(watched, BASES)
        mounted = await assembled(source, Repository(watched, "images/digits"), tmp_path)
        assert watched.count("mount") == 1
        assert watched.count("push_blob") == 2, "the code's layer and the configuration"
        folder = OciLayoutRegistry(tmp_path / "registry")
        assert await assembled(source, Repository(folder, "images/digits"), tmp_path) == mounted

    asyncio.run(case())


@needs_skopeo
def test_skopeo_reads_it_from_the_server(server: DistributionRegistry, real: RealRegistry, tmp_path: Path):
    async def case() -> Descriptor:
        await put_bases(server)
        return await assembled(Repository(server, BASES), Repository(server, "images/digits"), tmp_path)

    pushed = asyncio.run(case())
    name = f"docker://{real.host}/images/digits:1"
    seen = json.loads(skopeo("--override-arch", "arm64", "inspect", "--tls-verify=false", name))
    assert (seen["Digest"], seen["Architecture"]) == (pushed.digest, "arm64")


@needs_skopeo
def test_a_base_for_many_platforms_that_skopeo_brought_into_the_folder_is_built_upon(
    server: DistributionRegistry, real: RealRegistry, tmp_path: Path
):
    built = asyncio.run(put_bases(server))
    folder = OciLayoutRegistry(tmp_path / "registry")
    origin, here = f"docker://{real.host}/{BASES}:3", f"oci:{folder.root}:{BASES}:3"
    skopeo("copy", "--all", "--src-tls-verify=false", origin, here)
    source = Repository(folder, BASES)
    assert asyncio.run(find_base(source, "3", ARM64)).digest == built["arm64"].digest
    asyncio.run(assembled(source, Repository(folder, "images/digits"), tmp_path))
    seen = json.loads(skopeo("--override-arch", "arm64", "inspect", f"oci:{folder.root}:images/digits:1"))
    assert (len(seen["Layers"]), seen["Architecture"]) == (2, "arm64")


def skopeo(*arguments: str) -> str:
    command: Sequence[str] = ["skopeo", "--insecure-policy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout
