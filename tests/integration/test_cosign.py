"""cosign accepts what we sign, and we what it signs, on the registry that other people run."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from modelyard.api import Descriptor, ImageUntrusted
from modelyard.images import Repository
from modelyard.images.attesting import (
    SigningKey,
    TrustedKey,
    attach_sbom,
    read_sboms,
    read_signing_key,
    read_trusted_keys,
    sign_image,
    verify_image,
)
from modelyard_registry.layout import OciLayoutRegistry

from engine.tests.images.attesting.making_keys import new_private, pair, write_private
from engine.tests.images.making import BASES, put_base
from plugins.registry.tests.distribution.real import RealRegistry, connect, needs_registry, running

PASSWORD = "open sesame"
needs_cosign = pytest.mark.skipif(
    shutil.which("cosign") is None, reason="needs cosign (version 2), the tool other people use"
)


class Cosign:
    """Runs it in a folder, on one image."""

    def __init__(self, folder: Path, real: RealRegistry, image: Descriptor) -> None:
        self.folder = folder
        self.place = f"{real.host}/{BASES}@{image.digest}"

    def __call__(self, *arguments: str) -> bool:
        environ = {
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            "COSIGN_PASSWORD": PASSWORD,
            "HTTPS_PROXY": "http://127.0.0.1:9",  # it would fetch what a key does not need
        }
        command = ["cosign", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False, timeout=120
        )
        return done.returncode == 0

    def sign(self, key: str) -> bool:
        return self(
            "sign", "--key", key, "--tlog-upload=false", "--allow-insecure-registry", "-y", self.place
        )

    def accepts(self, key: str) -> bool:
        return self("verify", "--key", key, "--insecure-ignore-tlog", "--allow-insecure-registry", self.place)


@pytest.fixture
def ours(tmp_path: Path) -> tuple[SigningKey, TrustedKey]:
    return pair(tmp_path, "ours")


@pytest.mark.slow
@needs_cosign
@needs_registry
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_cosign_and_the_engine_accept_each_others_signatures_whoever_signs_first(
    tmp_path: Path, ours: tuple[SigningKey, TrustedKey], first: str
):
    with running(tmp_path / "real") as real:
        repository = Repository(connect(real), BASES)
        image = asyncio.run(put_base(repository.registry, tag="3"))
        cosign = Cosign(tmp_path, real, image)
        assert cosign("generate-key-pair", "--output-key-prefix", "theirs")
        if first == "theirs":
            assert cosign.sign("theirs.key")
        asyncio.run(sign_image(image, repository, ours[0]))
        assert cosign.accepts("ours.pub")
        assert cosign.accepts("theirs.pub") == (first == "theirs")
        if first == "ours":
            assert cosign.sign("theirs.key")
        assert cosign.accepts("ours.pub")
        assert cosign.accepts("theirs.pub")
        keys = read_trusted_keys([tmp_path / "theirs.pub", tmp_path / "ours.pub"])
        assert asyncio.run(verify_image(image, repository, keys)) == keys


@pytest.mark.slow
@needs_cosign
@needs_registry
@pytest.mark.timeout(300)
def test_cosign_signs_with_a_key_of_ours_once_it_has_imported_it(tmp_path: Path):
    write_private(tmp_path / "signing.key", new_private())
    key = read_signing_key(tmp_path / "signing.key", {})
    with running(tmp_path / "real") as real:
        repository = Repository(connect(real), BASES)
        image = asyncio.run(put_base(repository.registry, tag="3"))
        cosign = Cosign(tmp_path, real, image)
        assert cosign("import-key-pair", "--key", "signing.key", "--output-key-prefix", "same")
        assert cosign.sign("same.key")
        assert asyncio.run(verify_image(image, repository, [key.public])) == (key.public,)


@needs_registry
def test_a_signed_image_with_its_bill_lies_in_a_server_and_in_a_folder_alike(
    tmp_path: Path, ours: tuple[SigningKey, TrustedKey]
):
    async def case(repository: Repository) -> None:
        image = await put_base(repository.registry, tag="3")
        with pytest.raises(ImageUntrusted):
            await verify_image(image, repository, [ours[1]])
        await attach_sbom(image, b'{"bomFormat":"CycloneDX"}', repository)
        await sign_image(image, repository, ours[0])
        assert await verify_image(image, repository, [ours[1]]) == (ours[1],)
        assert await read_sboms(image, repository) == (b'{"bomFormat":"CycloneDX"}',)

    with running(tmp_path / "real") as real:
        for registry in (connect(real), OciLayoutRegistry(tmp_path / "layout")):
            asyncio.run(case(Repository(registry, BASES)))
