"""The engine's own image: built by a real engine of built wheels, read by skopeo, run by Docker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import uv
from modelyard import __version__
from modelyard.api import ImageRef
from modelyard.containers import open_archive
from modelyard.targets.docker.bringing import describe
from modelyard_registry.layout import OciLayoutRegistry

from plugins.registry.tests.distribution.real import needs_registry, running
from tests.conftest import ROOT, Answer, RunningEngine, engine_at, until
from tests.e2e.test_documentation import Command, File, Reader, shown
from tests.testbed.docker_daemon import docker_client, own_daemon
from tests.testbed.machine_base import REPOSITORY, TAG, MachineBase

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
BASE = f"oci-layout/{REPOSITORY}:{TAG}"
NAME = "images/engine"
SERVER = "registry.example:5000"
LOADED = "modelyard/engine:tested"
HOME = "/var/lib/modelyard"
TEMPORARY = {"/tmp": ""}  # noqa: S108  a place in the container
TMPFS = {HOME: "uid=65532,gid=65532,mode=700,exec", **TEMPORARY}
STATUS = "import json, modelyard.client as c; print(json.dumps(c.wire.to_raw(c.Client().status())))"


@attrs.frozen
class Built:
    """An engine that built its own image, and what it said."""

    engine: RunningEngine
    wheels: Path
    said: dict[str, Any]

    def build(self, *options: str) -> Answer:
        return self.engine.cli("image", "build", "--base", BASE, "--wheels", self.wheels, *options)


@pytest.fixture(scope="module")
def built(base_of_machine: MachineBase, environments: Path) -> Iterator[Built]:
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    wheels = folder / "dist"
    command = [uv.find_uv_bin(), "build", "--quiet", "--all-packages", "--wheel", "--no-build-isolation"]
    subprocess.run([*command, "--python", sys.executable, "--out-dir", wheels, ROOT], check=True)
    with engine_at(folder / "home", environments) as engine:
        asyncio.run(base_of_machine.push(OciLayoutRegistry(engine.home.registry)))
        engine.up()
        made = Built(engine, wheels, {})
        answer = made.build("--json", "--revision", "abc123")
        assert answer.code == 0, answer.out + answer.err
        yield attrs.evolve(made, said=answer.json)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def client(built: Built, docker_address: str) -> Iterator[Any]:
    """A client of a daemon that has the image, loaded as `docker load` takes it."""
    client = docker_client(docker_address)
    with (built.engine.folder / "engine.tar").open("w+b") as archive:
        asyncio.run(_write(built, archive))
        archive.seek(0)
        (loaded,) = client.images.load(archive)
    yield client
    client.images.remove(loaded.id, force=True)
    client.close()


def install_wheels(wheels: Path, folder: Path) -> None:
    """Install a release into a new environment, what it needs coming from the cache alone."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = folder.with_name("pins.txt")
    pinned = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?(==[^\s;\\]+)", lock, re.MULTILINE)
    pins.write_text("\n".join(name + version for name, version in pinned))
    pip = [uv.find_uv_bin(), "pip", "install", "--quiet", "--offline", "--python", folder / "bin" / "python"]
    subprocess.run([uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, folder], check=True)
    subprocess.run([*pip, "--constraint", pins, *sorted(wheels.glob("*.whl"))], check=True)


async def _write(built: Built, file: Any) -> None:
    registry = OciLayoutRegistry(built.engine.home.registry)
    wanted = await describe(ImageRef(registry.name, NAME, built.said["digest"]), registry)

    async for chunk in open_archive(
        attrs.evolve(wanted.archive, tag=LOADED), lambda digest: registry.read_blob(NAME, digest)
    ):
        file.write(chunk)


@pytest.fixture
def run(client: Any) -> Iterator[Any]:
    """Start a container of the image with a read-only root and no network; removed afterwards."""
    started: list[Any] = []

    def start(**options: Any) -> Any:
        started.append(
            client.containers.run(LOADED, detach=True, read_only=True, network_mode="none", **options)
        )
        return started[-1]

    yield start
    for container in started:
        container.remove(force=True, v=True)


def execute(container: Any, *argv: str) -> str:
    code, output = container.exec_run(list(argv))
    assert code == 0, output.decode() + container.logs().decode()
    return str(output.decode())


def answers(container: Any) -> bool:
    container.reload()
    assert container.status == "running", container.logs().decode()
    return "running  0" in container.exec_run(["engine", "version"])[1].decode()


def stop(container: Any, signal: str = "SIGTERM") -> tuple[int, float]:
    """Send a signal; give the exit code and the seconds it took."""
    begun = time.monotonic()
    container.kill(signal)
    return int(container.wait(timeout=60)["StatusCode"]), time.monotonic() - begun


def inspect(built: Built, *options: str) -> dict[str, Any]:
    command: Sequence[str] = [
        *("skopeo", "inspect", *options),
        f"oci:{built.engine.home.registry}:{NAME}:{__version__}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo, the tool other people use")
def test_skopeo_reads_who_runs_what_from_where(built: Built):
    seen = inspect(built)
    assert seen["Digest"] == built.said["digest"]
    assert len(seen["Layers"]) == 3
    assert seen["Labels"]["org.opencontainers.image.version"] == __version__
    assert seen["Labels"]["org.opencontainers.image.revision"] == "abc123"
    config = inspect(built, "--config")["config"]
    assert config["User"] == "65532:65532"
    assert HOME in config["Volumes"]
    assert f"MODELYARD_HOME={HOME}" in config["Env"]


def test_a_second_build_changes_nothing_and_a_dry_run_says_so(built: Built):
    again = built.build("--json", "--revision", "abc123").json
    assert (again["digest"], again["unchanged"], again["environment_found"]) == (
        built.said["digest"],
        True,
        True,
    )
    dry = built.build("--dry-run")
    assert "was there" in dry.out
    assert "not built" in dry.out


def test_an_installed_engine_makes_the_very_image_that_its_wheels_make(built: Built, tmp_path: Path):
    bare = tmp_path / "venv"
    install_wheels(built.wheels, bare)

    def command(*arguments: str) -> str:
        done = subprocess.run(
            [bare / "bin" / "engine", *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=built.engine.environment,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert built.engine.cli("down").code == 0
    try:
        command("up")
        said = json.loads(command("image", "build", "--base", BASE, "--revision", "abc123", "--json"))
        command("down")
    finally:
        built.engine.up()
    assert said["digest"] == built.said["digest"]
    assert (said["wheels"], said["left_out"]) == (built.said["wheels"], [])


def test_the_command_is_on_the_path_of_a_read_only_container(client: Any):
    said = client.containers.run(
        LOADED,
        ["version"],
        entrypoint="engine",
        read_only=True,
        network_mode="none",
        user="65532:65532",
        remove=True,
    )
    assert f"engine   {__version__}" in said.decode()


def test_it_lists_every_plugin_as_active(client: Any):
    said = client.containers.run(
        LOADED, ["plugins", "list"], entrypoint="engine", read_only=True, network_mode="none", remove=True
    )
    states = [line.split()[1] for line in said.decode().splitlines()[1:]]
    assert states == ["active"] * 6


def test_controller_and_router_run_in_a_folder_of_memory_and_end_in_good_order(run: Any):
    container = run(tmpfs=TMPFS)
    until(lambda: answers(container), seconds=60)
    status = json.loads(execute(container, "/opt/modelyard/engine/bin/python", "-c", STATUS))
    assert status["router"]["connected"]
    code, seconds = stop(container)
    assert code == 0, container.logs().decode()
    assert seconds < 30
    assert "stopped" in container.logs().decode()


def test_without_a_mount_it_gets_a_volume_of_its_own_which_outlives_a_restart(run: Any):
    container = run(tmpfs=TEMPORARY)
    until(lambda: answers(container), seconds=60)
    execute(container, "touch", f"{HOME}/kept")
    assert stop(container)[0] == 0
    container.start()
    until(lambda: answers(container), seconds=60)
    assert "kept" in execute(container, "ls", HOME)


def test_a_router_that_is_killed_is_collected_and_started_again(run: Any):
    container = run(tmpfs=TMPFS)
    until(lambda: answers(container), seconds=60)
    before = router(container)
    execute(container, "kill", "-9", str(before))
    until(lambda: router(container) not in (before, None), seconds=60)
    states = execute(container, "sh", "-c", "cat /proc/[0-9]*/stat").splitlines()
    assert not [line for line in states if line.rpartition(")")[2].split()[0] == "Z"]


def router(container: Any) -> int | None:
    said = json.loads(execute(container, "/opt/modelyard/engine/bin/python", "-c", STATUS))
    pid: int | None = said["router"]["pid"]
    return pid


@needs_registry
@pytest.mark.skipif(shutil.which("docker") is None, reason="needs docker, the command that the page shows")
def test_the_how_to_works_from_a_registry_server_to_a_container(
    built: Built, home_folder: Path, environments: Path, tmp_path: Path
):
    with (
        own_daemon() as daemon,  # the page's names may be somebody's in another
        contextlib.closing(docker_client(daemon.address)) as client,
        running(tmp_path / "server") as real,
        engine_at(home_folder / "home", environments) as engine,
    ):
        engine.environment["DOCKER_HOST"] = daemon.address
        settings = engine.home.settings_file
        settings.write_text(f"{settings.read_text()}images: {{base: '{BASE}'}}\n")
        # what this engine would build first, the other one has built
        shutil.copytree(built.engine.home.registry, engine.home.registry)
        (tmp_path / "dist").symlink_to(built.wheels)
        reader = Reader(engine, tmp_path)
        for step in shown(ROOT / "docs" / "how-to" / "build-the-engines-image.md"):
            if isinstance(step, File):
                (engine.folder / step.path).write_text(step.content.replace(SERVER, real.host))
            elif step.line != "make packaging":  # which is how these wheels were built
                line = step.line.replace(SERVER, real.host).replace("--publish 8484:8484", "--network none")
                reader.run(Command(line, step.expected))
                if line.startswith("docker run"):
                    until(lambda: answers(client.containers.get("engine")), seconds=60)
        assert client.containers.get("engine").wait()["StatusCode"] == 0
