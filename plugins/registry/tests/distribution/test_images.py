"""Images as other tools know them: skopeo reads what we push, with the same digests, and we what it pushes."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from modelyard.api import Artifact, Descriptor, NotFound, Platform, UserError
from modelyard_registry.distribution import DistributionRegistry
from modelyard_registry.manifests import INDEX_TYPE

from plugins.registry.tests.distribution.real import (
    PASSWORD,
    USER,
    RealRegistry,
    connect,
    logged_in,
    needs_registry,
    needs_skopeo,
    run,
    running,
)

pytestmark = needs_registry
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
LARGE = os.urandom(3_000_000)


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
    asked = ["skopeo", "--insecure-policy", *command.split(), *options, *places]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
