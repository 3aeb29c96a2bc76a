"""The how-to of signatures works as it is shown."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelyard.images import Repository
from modelyard.images.attesting import read_signing_key, read_trusted_keys, sign_image, verify_image
from modelyard.images.attesting.keys import PASSWORD_VARIABLE
from modelyard.spec import read_settings
from modelyard.testing import InMemoryRegistry

from engine.tests.images.making import BASES, put_base
from plugins.registry.tests.distribution.real import connect, needs_registry, running
from tests.conftest import ROOT
from tests.e2e.test_documentation import Command, File, shown

PAGE = ROOT / "docs" / "how-to" / "sign-images.md"
SHOWN = "registry.example/team/images/environments:latest"

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, which makes the keys")


def follow(folder: Path) -> None:
    """Do what the page says, but for what needs cosign."""
    for step in shown(PAGE):
        if isinstance(step, File):
            (folder / step.path).write_text(step.content)
        elif "cosign" not in step.line:
            do(folder, step.line)


def do(folder: Path, line: str) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = ["/bin/bash", "-c", line]
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"


def cosign_lines() -> Iterator[str]:
    yield from (step.line for step in shown(PAGE) if isinstance(step, Command) and "cosign" in step.line)


def test_the_keys_and_the_settings_sign_and_verify(tmp_path: Path):
    follow(tmp_path)
    settings = read_settings(tmp_path / "settings.yaml").images
    assert settings.verify == "required"
    assert settings.signing_key
    key = read_signing_key(settings.signing_key, {})
    trusted = read_trusted_keys(settings.trusted_keys)
    locked = read_signing_key(tmp_path / "locked.key", {PASSWORD_VARIABLE: "example"})
    assert locked.public.fingerprint == key.public.fingerprint
    repository = Repository(InMemoryRegistry(), BASES)

    async def case() -> None:
        image = await put_base(repository.registry, tag="3")
        await sign_image(image, repository, key)
        assert [one.name for one in await verify_image(image, repository, trusted)] == ["builder.pub"]

    asyncio.run(case())


def test_the_settings_that_demand_signed_bases_are_read(tmp_path: Path):
    shown_there = PAGE.read_text().partition("## Demand signed bases")[2]
    (tmp_path / "settings.yaml").write_text(shown_there.split("```yaml\n")[1].split("```")[0])
    settings = read_settings(tmp_path / "settings.yaml").images
    assert (settings.verify_bases, settings.base_keys) == ("required", (tmp_path / "trusted/bases",))


@pytest.mark.slow
@needs_registry
@pytest.mark.timeout(300)
@pytest.mark.skipif(
    shutil.which("cosign") is None, reason="needs cosign (version 2), the tool other people use"
)
def test_cosign_accepts_the_image_as_shown(tmp_path: Path):
    follow(tmp_path)
    key = read_signing_key(tmp_path / "signing.key", {})
    with running(tmp_path / "real") as real:
        repository = Repository(connect(real), BASES)
        image = asyncio.run(put_base(repository.registry, tag="latest"))
        asyncio.run(sign_image(image, repository, key))
        for line in cosign_lines():
            do(tmp_path, line.replace(SHOWN, f"--allow-insecure-registry {real.host}/{BASES}:latest"))
