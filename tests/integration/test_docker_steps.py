"""Docker steps and Dockerfiles are built in a real daemon, by each of its builders, and stored in a registry."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
from modelyard.api import (
    BuildOrder,
    BuildSite,
    Descriptor,
    ImageRef,
    ImageUnbuildable,
    NotFound,
    Platform,
    Registry,
    SystemError_,
    Unavailable,
)
from modelyard.containers.building import BuildDaemon
from modelyard.images import Repository, platform_of
from modelyard.images.attesting import read_sboms
from modelyard.images.dockerfiles import DockerImageBuilder
from modelyard.images.dockerfiles.buildx import find_docker
from modelyard.images.dockerfiles.remains import sweep
from modelyard_registry import DockerDaemonRegistry, OciLayoutRegistry

from plugins.registry.tests.distribution.real import connect, needs_registry, running
from tests.conftest import ROOT, until
from tests.testbed.busybox import put_busybox
from tests.testbed.docker_daemon import DockerDaemon, docker_client, own_daemon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
BASES, IMAGES, TAG = "bases/busybox", "images/steps", "k" * 64
HERE = platform_of(os.uname().machine)
T = TypeVar("T")


@attrs.define
class Workshop:
    """A builder over a daemon and a registry in a folder; `lines` is what the user would see."""

    daemon: DockerDaemon
    folder: Path
    builder: DockerImageBuilder
    registry: Registry
    base: ImageRef
    lines: list[str] = attrs.field(factory=list)

    def order(self, *steps: str, **more: Any) -> BuildOrder:
        return attrs.evolve(
            BuildOrder(
                HERE, self.base, IMAGES, TAG, docker_steps=steps, title="steps", labels={"who": "test"}
            ),
            **more,
        )

    async def build(self, order: BuildOrder, name: str = "site", base: Registry | None = None) -> Descriptor:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        site = BuildSite(base or self.registry, self.registry, folder, self.lines.append)
        try:
            return await self.builder.build(order, site)
        finally:
            # a builder leaves its folder to its caller, but no large file in it
            assert [
                path.name for path in folder.iterdir() if path.name not in ("context", "Dockerfile")
            ] == []

    async def files(self, manifest: Descriptor) -> dict[str, bytes]:
        """What the image's layers hold above the base."""
        artifact = await self.registry.pull(IMAGES, manifest.digest)
        found: dict[str, bytes] = {}
        for layer in artifact.layers[1:]:
            blob = b"".join([piece async for piece in self.registry.read_blob(IMAGES, layer.digest)])
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as tar:
                found |= {one.name: tar.extractfile(one).read() for one in tar if one.isfile()}  # type: ignore[union-attr]
        return found

    async def config(self, manifest: Descriptor) -> dict[str, Any]:
        artifact = await self.registry.pull(IMAGES, manifest.digest)
        assert artifact.config is not None
        pieces = self.registry.read_blob(IMAGES, artifact.config.digest)
        return dict(json.loads(b"".join([piece async for piece in pieces])))

    async def hears(self, end: str) -> None:
        def heard() -> bool:
            return any(line.endswith(end) for line in list(self.lines))

        await asyncio.to_thread(until, heard)

    def swept(self) -> list[str]:
        """What is left after the next build has begun."""
        sweep(self.builder.notes, BuildDaemon(self.builder.environ))
        return self.leftovers()

    def leftovers(self) -> list[str]:
        """What of builds is still in the daemon: their images, and containers."""
        with contextlib.closing(docker_client(self.daemon.address)) as client:
            images = [tag for image in client.images.list() for tag in image.tags if "modelyard-build" in tag]
            return images + [container.name for container in client.containers.list(all=True)]


@pytest.fixture(scope="module", params=["classic", "buildkit"])
def environ(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "classic":
        return {**os.environ, "PATH": ""}
    if not find_docker(os.environ):
        pytest.skip("needs the command `docker` with its plugin buildx")
    return dict(os.environ)


@pytest.fixture(scope="module")
def docker_daemon(environ: dict[str, str]) -> Iterator[DockerDaemon]:
    """A daemon with a bridge, which BuildKit's steps are connected to."""
    with contextlib.ExitStack() as held:
        options = ("--bridge", held.enter_context(bridge()), "--iptables=false") if environ["PATH"] else ()
        yield held.enter_context(own_daemon(options=options))


@contextlib.contextmanager
def bridge() -> Iterator[str]:
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs root and the command `ip`, to give a daemon a bridge")
    numbers = random.SystemRandom()
    name, network = (
        f"my{numbers.randrange(10**8)}",
        f"10.{numbers.randrange(100, 120)}.{numbers.randrange(255)}.1/24",
    )
    link(f"add {name} type bridge")
    try:
        subprocess.run(["ip", "addr", "add", network, "dev", name], check=True, timeout=10)
        link(f"set {name} up")
        yield name
    finally:
        link(f"del {name}")


def link(what: str) -> None:
    subprocess.run(["ip", "link", *what.split()], check=True, timeout=10)


@pytest.fixture
def workshop(environ: dict[str, str], docker_daemon: DockerDaemon, tmp_path: Path) -> Workshop:
    environ = {**environ, "DOCKER_HOST": docker_daemon.address}
    registry = OciLayoutRegistry(tmp_path / "registry")
    # a base of its own for every test: none finds another one's steps in Docker's cache
    base = run(put_busybox(registry, BASES, "1", mark=tmp_path.name + str(tmp_path.stat().st_ino)))
    return Workshop(
        docker_daemon,
        tmp_path,
        DockerImageBuilder(tmp_path / "notes", environ, tmp_path / "looks"),
        registry,
        ImageRef("oci-layout", BASES, base.digest),
    )


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def test_steps_become_layers_above_the_base_and_nothing_is_left(workshop: Workshop):
    context = workshop.folder / "context"
    context.mkdir()
    (context / "greeting").write_text("hello")
    order = workshop.order(
        "ENV WHO=world",
        "COPY greeting /opt/",
        "RUN cat /opt/greeting > /opt/said \\",
        "    && echo ${WHO} >> /opt/said",
        context=context,
    )

    async def case() -> None:
        built = await workshop.build(order)
        assert await workshop.registry.resolve(IMAGES, TAG) == built
        files = await workshop.files(built)
        assert files["opt/greeting"] == b"hello"
        assert files["opt/said"] == b"helloworld\n"
        base = await workshop.registry.pull(BASES, "1")
        assert (await workshop.registry.pull(IMAGES, TAG)).layers[: len(base.layers)] == base.layers
        config = await workshop.config(built)
        assert "WHO=world" in config["config"]["Env"]
        assert config["config"]["Labels"] == {
            "kept": "yes",
            "org.opencontainers.image.title": "steps",
            "org.opencontainers.image.base.name": f"{BASES}@{workshop.base.digest}",
            "org.opencontainers.image.base.digest": workshop.base.digest,
            "who": "test",
        }
        assert {"container", "container_config", "docker_version"}.isdisjoint(config)
        assert "Hostname" not in config["config"]

    run(case())
    assert any("RUN cat /opt/greeting" in line for line in workshop.lines)
    assert workshop.leftovers() == []
    assert list((workshop.folder / "notes").iterdir()) == []


def test_what_steps_made_is_billed_before_it_can_be_found(workshop: Workshop):
    listed = "Package: libfoo\\nStatus: install ok installed\\nVersion: 1.2-3\\nArchitecture: all\\n"
    steps = ("RUN mkdir -p /var/lib/dpkg", f"RUN echo -e '{listed}' > /var/lib/dpkg/status")

    async def case() -> dict[str, Any]:
        built = await workshop.build(workshop.order(*steps))
        (bill,) = await read_sboms(built, Repository(workshop.registry, IMAGES))
        return dict(json.loads(bill))

    document = run(case())
    assert "pkg:deb/debian/libfoo@1.2-3?arch=all&distro=debian" in {
        one["purl"] for one in document["components"]
    }
    assert workshop.base.digest in {one.get("version") for one in document["components"]}
    told = [one["value"] for one in document["metadata"]["component"]["properties"]]
    assert told == [f"sha256:{hashlib.sha256(one.encode()).hexdigest()}" for one in steps]
    assert document["compositions"][0]["aggregate"] == "incomplete"


def test_other_peoples_tools_find_the_image_valid(workshop: Workshop):
    if shutil.which("skopeo") is None:
        pytest.skip("needs skopeo, the tool other people use")
    built = run(workshop.build(workshop.order("RUN echo x > /opt")))
    source = f"oci:{workshop.folder}/registry:{IMAGES}:{TAG}"
    told = subprocess.run(
        ["skopeo", "inspect", source], capture_output=True, text=True, check=True, timeout=30
    )
    assert json.loads(told.stdout)["Digest"] == built.digest
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", source, f"dir:{workshop.folder}/copy"],
        capture_output=True,
        check=True,
        timeout=60,
    )


@needs_registry
def test_a_registry_server_gets_an_image_that_other_peoples_tools_find_valid(workshop: Workshop):
    if shutil.which("skopeo") is None:
        pytest.skip("needs skopeo, the tool other people use")
    with running(workshop.folder / "server") as server:
        remote = attrs.evolve(workshop, registry=connect(server))
        built = run(remote.build(workshop.order("RUN echo x > /opt"), base=workshop.registry))
        place = f"docker://{server.host}/{IMAGES}:{TAG}"
        for what in (["inspect"], ["inspect", "--config"]):
            told = subprocess.run(
                ["skopeo", *what, "--tls-verify=false", place], capture_output=True, check=True, timeout=30
            )
            if "--config" not in what:
                assert json.loads(told.stdout)["Digest"] == built.digest


def test_a_whole_dockerfile_with_stages_is_built(workshop: Workshop):
    async def case() -> None:
        # FROM names an image of the daemon: the one of an earlier build's base
        await workshop.build(workshop.order("RUN true"))
        artifact = await workshop.registry.pull(BASES, "1")
        assert artifact.config is not None
        base = f"modelyard-base:{artifact.config.digest.removeprefix('sha256:')}"
        text = f"FROM {base} AS one\nRUN echo made > /made\nFROM {base}\nCOPY --from=one /made /copied\n"
        built = await workshop.build(workshop.order(dockerfile=text, docker_steps=()))
        artifact = await workshop.registry.pull(IMAGES, built.digest)
        assert (await workshop.files(built))["copied"] == b"made\n"

    run(case())
    assert workshop.leftovers() == []


def test_a_step_that_fails_is_named_with_its_status_and_its_last_words(workshop: Workshop):
    order = workshop.order("RUN true", "RUN echo one; echo the last words; sh -c 'exit 7'")
    with pytest.raises(ImageUnbuildable) as caught:
        run(workshop.build(order))
    message = caught.value.message
    assert message.startswith("step 3/3: RUN echo one; echo the last words; sh -c 'exit 7'")
    assert "failed with exit status 7" in message
    assert message.endswith("\n  one\n  the last words")
    with pytest.raises(NotFound):
        run(workshop.registry.resolve(IMAGES, TAG))
    assert workshop.leftovers() == []


def test_a_file_that_is_not_in_the_context_is_the_steps_mistake(workshop: Workshop):
    with pytest.raises(ImageUnbuildable, match="COPY nothing /opt"):
        run(workshop.build(workshop.order("COPY nothing /opt")))


def test_what_the_ignore_file_leaves_out_no_step_can_copy(workshop: Workshop):
    context = workshop.folder / "context"
    context.mkdir()
    (context / ".dockerignore").write_text("*\n!kept\n")
    for name in ("kept", "secret"):
        (context / name).write_text(name)
    built = run(workshop.build(workshop.order("COPY . /opt/", context=context)))
    assert sorted(run(workshop.files(built))) == ["opt/kept"]


def test_the_host_cannot_be_reached_from_a_step(workshop: Workshop):
    """No socket of the daemon, no folder of the host, no device: a build's container is Docker's default one."""
    built = run(workshop.build(workshop.order(f"RUN ls {workshop.daemon.folder} > /seen 2>&1 || true")))
    assert b"No such file" in run(workshop.files(built))["seen"]


def test_a_cancelled_build_ends_in_the_daemon_and_leaves_nothing(workshop: Workshop):
    async def case() -> None:
        task = asyncio.ensure_future(workshop.build(workshop.order("RUN echo begun; sleep 120")))
        await workshop.hears("begun")
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 20

    run(case())
    until(lambda: workshop.swept() == [])
    # BuildKit might still finish an image: the note stays, for the next build to look again
    noted = 0 if workshop.builder.environ["PATH"] == "" else 1
    assert len(list((workshop.folder / "notes").iterdir())) == noted


def test_two_different_builds_at_once_both_succeed(workshop: Workshop):
    async def case() -> None:
        orders = [workshop.order(f"RUN echo {tag} > /which", tag=tag) for tag in ("a", "b")]
        built = await asyncio.gather(*(workshop.build(order, order.tag) for order in orders))
        for order, manifest in zip(orders, built, strict=True):
            assert (await workshop.files(manifest))["which"] == f"{order.tag}\n".encode()

    run(case())
    assert workshop.leftovers() == []


def test_an_image_that_docker_has_is_built_upon(workshop: Workshop):
    """The base comes from the daemon's own record, and is not sent to where it is."""
    docker = DockerDaemonRegistry(workshop.folder / "spool", {"DOCKER_HOST": workshop.daemon.address})

    async def case() -> None:
        await put_busybox(docker, "bb", "1")
        base = await docker.resolve_platform("bb", "1", HERE)
        order = workshop.order("RUN echo x > /x", base=ImageRef("docker-daemon", "bb", base.digest))
        built = await workshop.build(order, base=docker)
        assert (await workshop.files(built))["x"] == b"x\n"

    run(case())


@pytest.mark.parametrize("dies_at", ["base", "step", "export", "push"])
def test_a_build_that_was_killed_starts_over_and_no_tag_names_half_an_image(workshop: Workshop, dies_at: str):
    order = workshop.order("RUN echo begun; sleep 1; echo x > /x")
    killed = start_builder(workshop, dies_at)
    killed.wait(timeout=100)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(NotFound):
        run(workshop.registry.resolve(IMAGES, TAG))
    shutil.rmtree(workshop.folder / "site")
    built = run(workshop.build(order))
    assert run(workshop.files(built))["x"] == b"x\n"
    until(lambda: workshop.swept() == [])


def start_builder(workshop: Workshop, dies_at: str) -> subprocess.Popen[str]:
    argv = [
        *(sys.executable, "-m", "tests.integration.steps_builder"),
        *(str(workshop.folder), workshop.base.digest, dies_at),
    ]
    return subprocess.Popen(argv, cwd=ROOT, env=dict(workshop.builder.environ), text=True)


def test_a_daemon_that_goes_down_in_the_middle_fails_the_build_and_the_next_build_cleans_up(
    workshop: Workshop,
):
    async def case() -> None:
        task = asyncio.ensure_future(workshop.build(workshop.order("RUN echo begun; sleep 60")))
        await workshop.hears("begun")
        await asyncio.to_thread(workshop.daemon.stop)
        with pytest.raises((SystemError_, ImageUnbuildable)):
            await task

    run(case())
    workshop.daemon.start()
    built = run(workshop.build(workshop.order("RUN echo x > /x")))
    assert run(workshop.files(built))["x"] == b"x\n"
    assert workshop.leftovers() == []


def test_a_daemon_whose_disk_is_full_says_so(workshop: Workshop):
    with (
        small_disk(workshop.folder / "disk") as disk,
        own_daemon(options=("--storage-driver", "vfs"), data=disk) as daemon,
    ):
        environ = {**workshop.builder.environ, "DOCKER_HOST": daemon.address}
        full = attrs.evolve(workshop, builder=attrs.evolve(workshop.builder, environ=environ))
        with pytest.raises(SystemError_, match="full"):
            run(full.build(workshop.order("RUN true")))
    with pytest.raises(NotFound):
        run(workshop.registry.resolve(IMAGES, TAG))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False, timeout=10).returncode != 0:
        pytest.skip("needs the right to mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=10)


def test_a_machine_without_docker_says_so_with_a_remedy(tmp_path: Path):
    environ = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    builder = DockerImageBuilder(tmp_path / "notes", environ, tmp_path / "looks")
    registry = OciLayoutRegistry(tmp_path / "registry")
    order = BuildOrder(
        Platform("linux", "amd64"), ImageRef("r", BASES, "sha256:0"), IMAGES, TAG, docker_steps=("RUN true",)
    )
    with pytest.raises(Unavailable, match="no Docker daemon") as caught:
        run(builder.build(order, BuildSite(registry, registry, tmp_path, print)))
    assert "Docker" in caught.value.remedy
