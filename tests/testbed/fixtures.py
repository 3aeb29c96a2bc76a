"""The testbed as fixtures: `from tests.testbed.fixtures import ...` in the conftest.py of whoever stands on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.docker_daemon import DockerDaemon, any_daemon, own_daemon
from tests.testbed.machine_base import MachineBase, machine_base
from tests.testbed.service_image import ServiceImages


@pytest.fixture(scope="session")
def docker_address() -> Iterator[str]:
    """The address of a daemon that runs, shared by the tests of this process: they leave nothing in it."""
    with any_daemon() as address:
        yield address


@pytest.fixture(scope="module")
def docker_daemon() -> Iterator[DockerDaemon]:
    """A daemon of this module's own, which its tests may stop, kill and start."""
    with own_daemon() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def base_of_machine(tmp_path_factory: pytest.TempPathFactory) -> MachineBase:
    """The base image of this machine's Python, written once for all processes of this run."""
    base = tmp_path_factory.getbasetemp()
    shared: Path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "machine-base"
    shared.mkdir(exist_ok=True)
    return machine_base(shared)


@pytest.fixture(scope="session")
def service_images(base_of_machine: MachineBase, tmp_path_factory: pytest.TempPathFactory) -> ServiceImages:
    """Images with the real runtime, in a layout folder of this process."""
    return ServiceImages(tmp_path_factory.mktemp("images"), base_of_machine)
