"""What the builder takes, what it writes into a configuration, how it calls BuildKit, what it leaves on disk."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import attrs
import pytest
from modelyard.api import (
    BuildOrder,
    BuildSite,
    CondaLayer,
    ImageBuilder,
    ImageRef,
    ImageUnbuildable,
    ModelyardError,
    Platform,
    SystemError_,
    Unavailable,
    UserError,
)
from modelyard.containers.building import BuildDaemon, Failure
from modelyard.images.dockerfiles import DockerImageBuilder
from modelyard.images.dockerfiles.builder import unbuildable
from modelyard.images.dockerfiles.buildx import BuildKitOrder, find_docker, write_argv
from modelyard.images.dockerfiles.configs import clean_config
from modelyard.images.dockerfiles.remains import Remains, begin, sweep
from modelyard.images.images import Base
from modelyard.processes import FileLock
from modelyard.testing import InMemoryRegistry

from tests.testbed.fake_docker import Handler, fake_docker

ORDER = BuildOrder(
    Platform("linux", "amd64"),
    ImageRef("r", "base", "sha256:0"),
    "images/x",
    "key",
    docker_steps=("RUN a",),
    title="digits",
    labels={"mine": "1"},
)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A short path: a socket lies in it."""
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def builder(tmp_path: Path) -> DockerImageBuilder:
    return DockerImageBuilder(
        tmp_path / "notes", {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "PATH": ""}, tmp_path / "bases"
    )


def test_it_is_a_builder_by_the_name_docker(builder: DockerImageBuilder):
    assert isinstance(builder, ImageBuilder)
    assert builder.name == "docker"


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (ORDER, None),
        (attrs.evolve(ORDER, docker_steps=(), dockerfile="FROM x"), None),
        (attrs.evolve(ORDER, docker_steps=()), "no_steps"),
        (attrs.evolve(ORDER, dockerfile="FROM x"), "steps_and_dockerfile"),
        (attrs.evolve(ORDER, conda=CondaLayer(PurePosixPath("/opt"), "lock")), "packages"),
    ],
)
def test_it_builds_steps_or_a_dockerfile_and_no_packages(
    builder: DockerImageBuilder, order: BuildOrder, code: str | None
):
    refusal = builder.can_build(order)
    assert (refusal.code if refusal else None) == code


def build(builder: DockerImageBuilder, order: BuildOrder, folder: Path) -> None:
    registry = InMemoryRegistry()
    asyncio.run(builder.build(order, BuildSite(registry, registry, folder, print)))


def test_a_machine_without_docker_says_so_with_a_remedy(builder: DockerImageBuilder, tmp_path: Path):
    with pytest.raises(ModelyardError, match="Docker") as caught:
        build(builder, ORDER, tmp_path)
    assert "Docker" in caught.value.remedy
    assert not (tmp_path / "notes").exists()


def test_a_step_that_is_wrong_is_refused_before_any_daemon_is_asked(
    builder: DockerImageBuilder, tmp_path: Path
):
    with pytest.raises(ImageUnbuildable) as caught:
        build(builder, attrs.evolve(ORDER, docker_steps=("RUN a", "FROM b")), tmp_path)
    assert caught.value.place == "environment.docker_steps:2"


def test_a_text_inside_a_step_needs_buildkit(builder: DockerImageBuilder, tmp_path: Path):
    with pytest.raises(UserError, match="BuildKit"):
        build(builder, attrs.evolve(ORDER, docker_steps=("RUN <<E\na\nE",)), tmp_path)


BASE = Base(
    "base@sha256:0",
    "sha256:0",
    (),
    {"config": {"Labels": {"org.opencontainers.image.vendor": "them", "kept": "yes"}}},
)
SAVED = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2026-01-01T00:00:00Z",
    "container": "0123",
    "docker_version": "20",
    "container_config": {"Hostname": "0123"},
    "config": {
        "Hostname": "0123",
        "Image": "sha256:1",
        "Env": ["A=1"],
        "User": "",
        "Labels": {
            "org.opencontainers.image.vendor": "them",
            "kept": "yes",
            "org.opencontainers.image.url": "step's",
        },
    },
    "history": [{"created_by": "x", "author": "me"}, {"created_by": "y", "empty_layer": True}],
    "rootfs": {"type": "layers", "diff_ids": ["sha256:2"]},
}


def test_a_configuration_tells_nothing_of_the_machine_that_built_it():
    cleaned = json.loads(clean_config(json.dumps(SAVED).encode(), BASE, ORDER))
    assert set(cleaned) == {"architecture", "config", "created", "history", "os", "rootfs"}
    assert set(cleaned["config"]) == {"Env", "Labels"}
    assert cleaned["history"] == [{"created_by": "x"}, {"created_by": "y", "empty_layer": True}]


def test_labels_of_the_base_itself_go_and_the_orders_come():
    labels = json.loads(clean_config(json.dumps(SAVED).encode(), BASE, ORDER))["config"]["Labels"]
    assert labels == {
        "kept": "yes",
        "mine": "1",
        "org.opencontainers.image.base.digest": "sha256:0",
        "org.opencontainers.image.base.name": "base@sha256:0",
        "org.opencontainers.image.title": "digits",
        "org.opencontainers.image.url": "step's",
    }


def test_buildkit_is_given_no_secret_and_no_right():
    argv = write_argv(
        "/usr/bin/docker", BuildKitOrder(Path("/c"), Path("/d"), "x:1", Platform("linux", "arm64"))
    )
    assert argv[:3] == ["/usr/bin/docker", "buildx", "build"]
    assert argv[-2:] == ["--", "/c"]
    assert argv[argv.index("--platform") + 1] == "linux/arm64"
    assert {"--secret", "--ssh", "--allow", "--network", "--push"}.isdisjoint(argv)


def test_buildkit_is_found_where_dockers_plugins_lie(tmp_path: Path):
    for path in (tmp_path / "bin/docker", tmp_path / "config/cli-plugins/docker-buildx"):
        path.parent.mkdir(parents=True)
        path.write_text("")
        path.chmod(0o755)
    environ = {"PATH": f"{tmp_path}/bin", "DOCKER_CONFIG": f"{tmp_path}/config"}
    assert find_docker(environ) == f"{tmp_path}/bin/docker"
    assert find_docker({**environ, "PATH": ""}) == ""


def test_a_build_that_lives_is_noted_and_one_that_died_can_be_told(tmp_path: Path):
    with begin(tmp_path / "notes") as remains:
        remains.note("0123456789ab")
        assert remains.lock.exists()
        assert remains.image == f"modelyard-build:{remains.identity}"
        with pytest.raises(ModelyardError), FileLock(remains.lock, timeout_seconds=0):
            pass
    with FileLock(Remains(tmp_path / "notes", remains.identity).lock, timeout_seconds=0):
        assert remains.containers.read_text() == "0123456789ab\n"
    remains.forget()
    assert list((tmp_path / "notes").iterdir()) == []


def test_what_dead_builds_left_is_removed_and_their_notes_are_kept_for_a_day(short_folder: Path):
    removed: list[str] = []

    def remove(request: Handler) -> None:
        removed.append(request.path.partition("?")[0].rpartition("/")[2])
        request.json([])

    notes = short_folder / "notes"
    notes.mkdir()
    young, old = f"{int(time.time())}-young", "1000-old"
    for identity in (young, old):
        (notes / f"{identity}.lock").write_text("1")
    (notes / f"{old}.containers").write_text("0123456789ab\n")
    with (
        begin(notes) as living,
        fake_docker(short_folder, {r"DELETE /(images|containers)/.*": remove}) as environ,
    ):
        sweep(notes, BuildDaemon(environ))
    assert sorted(removed) == ["0123456789ab", f"modelyard-build:{old}", f"modelyard-build:{young}"]
    assert {path.name for path in notes.iterdir()} == {f"{young}.lock", living.lock.name}


@pytest.mark.parametrize(
    ("failure", "kind", "why"),
    [
        (
            Failure("pull access denied for modelyard-base, it does not exist"),
            Unavailable,
            "was removed from Docker",
        ),
        (Failure("write /x: no space left on device"), SystemError_, "disk is full"),
        (Failure("x", "2/2: RUN dd", 1, ("dd: no space left on device",)), ImageUnbuildable, "exit status 1"),
        (
            Failure("COPY failed: no such file", "2/2: COPY a b"),
            ImageUnbuildable,
            "step 2/2: COPY a b failed: COPY",
        ),
    ],
)
def test_whose_fault_a_failed_build_is(
    builder: DockerImageBuilder, failure: Failure, kind: type[Exception], why: str
):
    error = unbuildable(failure, ORDER, BuildDaemon(builder.environ))
    assert type(error) is kind
    assert why in error.message
    assert error.remedy
