"""A real daemon, real images, and an engine's home for each test; what a test leaves is removed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import pytest
from modelyard.api import ImageRef, Replica, ReplicaPhase, Workload
from modelyard.containers import Daemon
from modelyard.processes import Home, find_home
from modelyard.targets import DockerTarget
from modelyard.targets.docker.labels import ENGINE

from tests.integration.docker_target.workloads import REPLICA, workload_of
from tests.testbed.docker_daemon import docker_client
from tests.testbed.fixtures import base_of_machine, docker_address, docker_daemon, service_images
from tests.testbed.service_image import ECHO, ServiceImages

__all__ = ["REPLICA", "base_of_machine", "docker_address", "docker_daemon", "service_images", "workload_of"]


def new_home() -> Home:
    """A home on a short path."""
    home = find_home({"MODELYARD_HOME": tempfile.mkdtemp(prefix="my-", dir="/tmp")})
    home.create()
    return home


@pytest.fixture
def home() -> Iterator[Home]:
    made = new_home()
    yield made
    shutil.rmtree(made.state)


@pytest.fixture(scope="session")
def echo(service_images: ServiceImages) -> ImageRef:
    """The image of a service that answers with what it was sent."""
    return asyncio.run(service_images.make({"score.py": ECHO}))


@attrs.frozen
class Place:
    """An engine's target over a daemon, with all that a test does to it."""

    home: Home
    address: str
    images: ServiceImages

    def target(self) -> DockerTarget:
        """A target as a fresh engine has it."""
        return DockerTarget(self.home, Daemon(self.address))

    async def bring(self, image: ImageRef) -> list[str]:
        lines: list[str] = []
        await self.target().bring(image, self.images.registry, on_line=lines.append)
        return lines

    async def run(self, workload: Workload) -> tuple[Replica, ...]:
        """Bring, apply, and wait until all are ready."""
        assert workload.image
        await self.bring(workload.image)
        await self.target().apply(workload)
        return await self.when(
            lambda seen: bool(seen) and all(one.phase is ReplicaPhase.READY for one in seen)
        )

    async def when(
        self, good: Callable[[tuple[Replica, ...]], bool], *, seconds: float = 30.0
    ) -> tuple[Replica, ...]:
        target, seen = self.target(), ()
        try:
            async with asyncio.timeout(seconds):
                while not good(seen := await target.observe()):  # noqa: ASYNC110  the daemon tells nobody
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"still {seen} after {seconds:g} s") from None
        return seen

    async def clear(self) -> None:
        target = self.target()
        for replica in await target.observe():
            await target.delete(replica.id)


@asynccontextmanager
async def cleared(*places: Place) -> AsyncIterator[None]:
    """Leave no replica behind."""
    try:
        yield
    finally:
        for place in places:
            await place.clear()


def only(replicas: tuple[Replica, ...]) -> Replica:
    (one,) = replicas
    return one


@pytest.fixture
def place(home: Home, docker_address: str, service_images: ServiceImages) -> Place:
    return Place(home, docker_address, service_images)


@pytest.fixture
def mortal(home: Home, docker_daemon: Any, service_images: ServiceImages) -> Place:
    """A place whose daemon the test may stop."""
    return Place(home, docker_daemon.address, service_images)


async def asked(address: str, body: str) -> Any:
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(f"http://{address}/score", content=body)


def labelled(place: Place, *, network: bool = False) -> list[Any]:
    """List what the daemon has of a place's engine."""
    name = place.target()._belonging.name()
    client = docker_client(place.address)
    try:
        if network:
            return [one.name for one in client.networks.list(filters={"label": f"{ENGINE}={name}"})]
        return [one.attrs for one in client.containers.list(all=True, filters={"label": f"{ENGINE}={name}"})]
    finally:
        client.close()


async def until(condition: Any, *, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  the daemon tells nobody
            await asyncio.sleep(0.1)


def by_hand(place: Place, what: str, **more: Any) -> None:
    """Do to the one container what a person does: `kill`, `stop`, `restart`, `pause`."""
    client = docker_client(place.address)
    try:
        (one,) = labelled(place)
        getattr(client.containers.get(one["Id"]), what)(**more)
    finally:
        client.close()
