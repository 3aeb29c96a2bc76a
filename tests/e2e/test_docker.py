"""The digits example on Docker: deployed, scored through the router, changed, mended, deleted."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from modelyard_registry.layout import OciLayoutRegistry

from tests.conftest import ROOT, Prober, RunningEngine, doubler, engine_at, until
from tests.testbed.docker_daemon import docker_client
from tests.testbed.machine_base import REPOSITORY, TAG, MachineBase

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]
FAILING = "def init():\n    raise ValueError('no weights')\n\ndef run(data):\n    pass\n"
SETTINGS = f"images: {{base: 'oci-layout/{REPOSITORY}:{TAG}'}}\n"


@pytest.fixture(scope="module")
def on_docker(
    docker_address: str,
    base_of_machine: MachineBase,
    environments: Path,
) -> Iterator[RunningEngine]:
    """An engine beside a daemon, with the machine's own Python as the base of its images."""
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    with engine_at(folder / "home", environments) as engine:
        engine.environment["DOCKER_HOST"] = docker_address
        settings = engine.home.settings_file
        settings.write_text(settings.read_text() + SETTINGS)
        asyncio.run(base_of_machine.push(OciLayoutRegistry(engine.home.registry)))
        engine.up()
        yield engine
    shutil.rmtree(folder, ignore_errors=True)


def deploy(engine: RunningEngine, folder: Path) -> str:
    answer = engine.cli("deploy", "--target", "docker", folder)
    assert answer.code == 0, answer.out + answer.err
    return answer.out


def containers(address: str, service: str) -> list[Any]:
    client = docker_client(address)
    found: list[Any] = client.containers.list(all=True, filters={"label": f"dev.modelyard.service={service}"})
    return found


def test_the_digits_are_deployed_to_docker_and_scored(on_docker: RunningEngine, tmp_path: Path):
    folder = shutil.copytree(ROOT / "examples" / "digits", tmp_path / "digits")
    if not (folder / "sample.json").exists():
        pytest.skip("needs the model of the digits example: make digits-model")
    deploy(on_docker, folder)
    sample = json.loads((folder / "sample.json").read_text())
    answer = on_docker.post("digits", sample)
    assert answer.status_code == 200
    assert len(answer.json()) == len(sample["data"])
    assert on_docker.cli("delete", "digits").code == 0


def test_a_service_lives_its_whole_life_on_docker(
    on_docker: RunningEngine, docker_address: str, tmp_path: Path
):
    folder = doubler(tmp_path / "life", name="life")
    deploy(on_docker, folder)
    assert on_docker.post("life", {"data": [1, 2]}).json() == [2, 4]
    # a change of code takes over without one failed request
    with Prober(lambda _: on_docker.post("life", {"data": [1]}), threads=2).running() as prober:
        until(lambda: prober.answered > 5)
        doubler(tmp_path / "life", name="life", factor=3)
        deploy(on_docker, folder)
        before = prober.answered
        until(lambda: prober.answered > before + 5)
    assert prober.failures == []
    assert on_docker.post("life", {"data": [1, 2]}).json() == [3, 6]
    # back to the first
    assert on_docker.cli("rollback", "life").code == 0
    assert on_docker.post("life", {"data": [1, 2]}).json() == [2, 4]
    # what somebody kills comes back
    (container,) = [one for one in containers(docker_address, "life") if one.status == "running"]
    container.kill()
    until(lambda: on_docker.post("life", {"data": [1, 2]}).status_code == 200, seconds=60)
    # and nothing stays
    assert on_docker.cli("delete", "life").code == 0
    assert containers(docker_address, "life") == []


def test_an_image_that_was_removed_everywhere_is_made_again(
    on_docker: RunningEngine, docker_address: str, tmp_path: Path
):
    deploy(on_docker, doubler(tmp_path / "lost", name="lost"))
    layout = OciLayoutRegistry(on_docker.home.registry)
    digest = asyncio.run(layout.resolve("images/services/lost", "1")).digest
    asyncio.run(layout.delete("images/services/lost", digest))
    (container,) = containers(docker_address, "lost")
    image = container.image.id
    container.remove(force=True)
    docker_client(docker_address).images.remove(image, force=True)
    until(lambda: on_docker.post("lost", {"data": [1, 2]}).status_code == 200, seconds=90)
    assert on_docker.cli("delete", "lost").code == 0


def test_a_script_that_does_not_start_is_told_with_its_reason(on_docker: RunningEngine, tmp_path: Path):
    folder = doubler(
        tmp_path / "wrong",
        name="wrong",
        score=FAILING,
    )
    answer = on_docker.cli("deploy", "--target", "docker", folder)
    assert answer.code == 2
    assert "no weights" in answer.out + answer.err
