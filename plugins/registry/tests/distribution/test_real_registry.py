"""The client keeps every registry's promise against the distribution project's own server.

Skopeo is the judge: what we push it reads, with the same digests, and what it pushes we read.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import os
import subprocess
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
from modelyard.api import Artifact, Descriptor, NotFound, Platform, Registry, UserError
from modelyard.testing import RegistryConformance
from modelyard_registry.distribution import DistributionRegistry
from modelyard_registry.distribution.servers import parse_servers
from modelyard_registry.distribution.session import Limits
from modelyard_registry.manifests import INDEX_TYPE

from plugins.registry.tests.distribution.cutting import cutting
from plugins.registry.tests.distribution.real import (
    PASSWORD,
    USER,
    RealRegistry,
    needs_registry,
    needs_skopeo,
    running,
)

pytestmark = needs_registry
T = TypeVar("T")
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
LARGE = os.urandom(3_000_000)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def connect(
    real: RealRegistry, environ: Mapping[str, str] | None = None, limits: Limits | None = None, **more: str
) -> DistributionRegistry:
    lines = [
        "[registry.real]",
        f'host = "{real.host}"',
        *(f'{key} = "{value}"' for key, value in more.items()),
    ]
    if real.ca_file:
        lines.append(f'ca_file = "{real.ca_file}"')
    (server,), mistakes = parse_servers("\n".join(lines).encode())
    assert not mistakes
    return DistributionRegistry(server, environ or {"HOME": str(real.folder)}, limits or Limits())


def logged_in(real: RealRegistry, password: str = PASSWORD) -> dict[str, str]:
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    (real.folder / "config.json").write_text(json.dumps({"auths": {real.host: {"auth": auth}}}))
    return {"DOCKER_CONFIG": str(real.folder)}


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[RealRegistry]:
    with running(tmp_path / "plain") as real:
        yield real


class TestPlainRegistry(RegistryConformance):
    @pytest.fixture
    def registry(self, plain: RealRegistry) -> Registry:
        return connect(plain)


class TestRegistryWithAPrefix(RegistryConformance):
    @pytest.fixture
    def registry(self, plain: RealRegistry) -> Registry:
        return connect(plain, prefix="team/models")


class TestRegistryWithAPassword(RegistryConformance):
    @pytest.fixture
    def registry(self, tmp_path: Path) -> Iterator[Registry]:
        with running(tmp_path / "password", has_password=True) as real:
            yield connect(real, logged_in(real))


class TestRegistryWithAPrivateAuthority(RegistryConformance):
    @pytest.fixture
    def registry(self, tmp_path: Path) -> Iterator[Registry]:
        with running(tmp_path / "tls", has_tls=True) as real:
            yield connect(real)


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
    file = tmp_path / "weights"
    file.write_bytes(LARGE)
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


@needs_skopeo
@pytest.mark.parametrize("secured", [False, True])
def test_skopeo_reads_an_image_that_we_pushed_with_the_same_digests(tmp_path: Path, secured: bool):  # noqa: FBT001
    with running(tmp_path / "real", has_password=secured, has_tls=secured) as real:
        registry = connect(real, logged_in(real) if secured else None)
        pushed = run(push_image(registry, "models/digits", "1"))
        seen = json.loads(skopeo(real, "inspect", f"docker://{real.host}/models/digits:1"))
        assert seen["Digest"] == pushed.digest
        assert (seen["Os"], seen["Architecture"]) == ("linux", "amd64")
        copied = tmp_path / "copied"
        skopeo(real, "copy", f"docker://{real.host}/models/digits:1", f"oci:{copied}:1")
        assert (copied / "blobs/sha256" / pushed.digest.removeprefix("sha256:")).exists()


@needs_skopeo
def test_what_skopeo_pushed_is_pulled_and_keeps_its_digest_when_we_push_it_on(
    plain: RealRegistry, tmp_path: Path
):
    registry = connect(plain)
    ours = run(push_image(registry, "models/digits", "1"))
    skopeo(plain, "copy", f"docker://{plain.host}/models/digits:1", f"oci:{tmp_path / 'there'}:1")
    skopeo(plain, "copy", f"oci:{tmp_path / 'there'}:1", f"docker://{plain.host}/models/back:1")

    async def case() -> None:
        image = await registry.pull("models/back", "1")
        assert image == await registry.pull("models/digits", ours.digest)
        found = await registry.read_document("models/back", "1")
        for blob in (image.config, *image.layers):
            assert blob
            assert await registry.mount("models/on", blob.digest, "models/back")
        again = await registry.push_document("models/on", found.content, found.descriptor.media_type, tag="1")
        assert again == found.descriptor == ours

    run(case())


def test_an_index_is_resolved_for_each_platform_and_not_mistaken_for_an_image(plain: RealRegistry):
    registry = connect(plain)

    async def case() -> None:
        built = {
            kind: await push_image(registry, "models/many", "", architecture=kind)
            for kind in ("amd64", "arm64")
        }
        index = {
            "schemaVersion": 2,
            "mediaType": INDEX_TYPE,
            "manifests": [
                {
                    "mediaType": one.media_type,
                    "digest": one.digest,
                    "size": one.size,
                    "platform": {"os": "linux", "architecture": kind},
                }
                for kind, one in built.items()
            ],
        }
        pushed = await registry.push_document("models/many", json.dumps(index).encode(), INDEX_TYPE, tag="1")
        assert await registry.resolve("models/many", "1") == pushed
        for kind, one in built.items():
            assert await registry.resolve_platform("models/many", "1", Platform("linux", kind)) == one
        alone = built["amd64"]
        assert (
            await registry.resolve_platform("models/many", alone.digest, Platform("linux", "amd64")) == alone
        )
        with pytest.raises(NotFound, match="linux/amd64, linux/arm64"):
            await registry.resolve_platform("models/many", "1", Platform("linux", "s390x"))
        with pytest.raises(UserError, match="several platforms"):
            await registry.pull("models/many", "1")

    run(case())


async def push_artifact(registry: DistributionRegistry, tag: str) -> Descriptor:
    layer = await registry.push_blob("models/digits", b"weights", "application/octet-stream")
    return await registry.push("models/digits", Artifact("application/vnd.modelyard.test", (layer,)), tag=tag)


async def push_image(
    registry: DistributionRegistry, repository: str, tag: str, architecture: str = "amd64"
) -> Descriptor:
    tar = bytes(10_240)
    layer = await registry.push_blob(repository, gzip.compress(tar, 1, mtime=0), LAYER_TYPE)
    document = {
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
    }
    config = await registry.push_blob(repository, json.dumps(document).encode(), CONFIG_TYPE)
    return await registry.push(repository, Artifact(CONFIG_TYPE, (layer,), config=config), tag=tag)


def skopeo(real: RealRegistry, command: str, *places: str) -> str:
    sides = ["src-", "dest-"] if command == "copy" else [""]
    options = []
    for side, place in zip(sides, places, strict=True):
        if not place.startswith("docker://"):
            continue
        options += [f"--{side}creds", f"{USER}:{PASSWORD}"]
        if real.ca_file:
            (real.folder / "certs").mkdir(exist_ok=True)
            (real.folder / "certs" / "ca.crt").write_bytes(real.ca_file.read_bytes())
            options += [f"--{side}cert-dir", str(real.folder / "certs")]
        else:
            options.append(f"--{side}tls-verify=false")
    asked = ["skopeo", "--insecure-policy", command, *options, *places]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
