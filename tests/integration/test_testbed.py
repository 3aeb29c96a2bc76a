"""The testbed itself: the daemon starts and leaves nothing, the base image runs Python."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest
from modelyard_registry.layout import OciLayoutRegistry

from tests.testbed import daemon_remains
from tests.testbed.docker_daemon import docker_client, own_daemon
from tests.testbed.fixtures import base_of_machine
from tests.testbed.machine_base import MINOR, REPOSITORY, TAG, MachineBase, machine_python

__all__ = ["base_of_machine"]
pytestmark = pytest.mark.slow


def _archive_of(base: MachineBase, folder: Path) -> Path:
    """Have skopeo, the tool other people use, turn the pushed image into what `docker load` reads."""
    skopeo = shutil.which("skopeo") or pytest.skip("needs skopeo, the tool other people use")
    asyncio.run(base.push(OciLayoutRegistry(folder / "registry")))
    origin, result = (
        f"oci:{folder / 'registry'}:{REPOSITORY}:{TAG}",
        f"docker-archive:{folder / 'base.tar'}:base:1",
    )
    subprocess.run([skopeo, "--insecure-policy", "copy", "--quiet", origin, result], check=True)
    return folder / "base.tar"


def test_python_runs_in_the_base_and_nothing_of_the_daemon_stays(
    base_of_machine: MachineBase, tmp_path: Path
) -> None:
    with own_daemon() as daemon:
        client = docker_client(daemon.address)
        with _archive_of(base_of_machine, tmp_path).open("rb") as archive:
            client.images.load(archive)
        network = client.networks.create("left-behind", driver="bridge")
        bridge = f"br-{network.id[:12]}"
        program = "import ssl, ctypes, sqlite3, sys; print(sys.version_info[:2])"
        ended = client.containers.run("base:1", ["python3", "-c", program], detach=True)
        assert ended.wait()["StatusCode"] == 0
        assert ended.logs().decode().strip() == str(tuple(int(part) for part in MINOR.split(".")))
        left = client.containers.run("base:1", ["sleep", "1000"], network="left-behind", detach=True)
        left.reload()
        client.close()
        daemon.kill()
        assert left.attrs["State"]["Pid"] in daemon_remains.processes(daemon.folder, daemon.group)
    assert not daemon.folder.exists()
    assert (
        bridge
        not in subprocess.run(["/usr/sbin/ip", "link"], capture_output=True, text=True, check=True).stdout
    )
    assert str(daemon.folder) not in Path("/proc/self/mountinfo").read_text()
    assert list(daemon_remains.processes(daemon.folder, daemon.group)) == []


def test_the_base_says_which_python_it_has(base_of_machine: MachineBase) -> None:
    assert base_of_machine.layer.stat().st_size < 120_000_000
    assert machine_python().minor == MINOR
