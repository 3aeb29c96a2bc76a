"""Images under bad input and on a bad machine: a clear error, nothing half-visible, nothing left behind."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from modelyard.api import (
    EnvironmentUnsolvable,
    ModelyardError,
    NotFound,
    SpecError,
    StoreDamaged,
    SystemError_,
    Unavailable,
    UserError,
)
from modelyard.controller.ports import Built
from modelyard.environments.interpreters import Interpreter, find_interpreter
from modelyard.spec import parse_service
from modelyard_registry.layout import OciLayoutRegistry

from engine.tests.environments.conftest import write_wheel
from engine.tests.images.layering import layer, put_image, to
from engine.tests.images.making import BASES
from plugins.registry.tests.distribution.cutting import cutting
from plugins.registry.tests.distribution.real import PASSWORD, connect, needs_registry, running
from tests.conftest import ROOT
from tests.fault.image_maker import make

FOLDER = "oci-layout"


def base_members(python: Interpreter) -> dict[str, Any]:
    """As little of this machine's Python as the engine looks for: what runs in the image is not run here."""
    minor = python.version.rpartition(".")[0]
    libc = python.libc.removeprefix("glibc-")
    return {
        "lib/x86_64-linux-gnu/libc.so.6": f"\0GNU C Library (x) stable release version {libc}.\n\0".encode(),
        f"usr/local/bin/python{minor}": b"\x7fELF",
        "usr/local/bin/python3": to(f"python{minor}"),
        f"usr/local/lib/libpython{minor}.so.1.0": b"\x7fELF" + f"/built/Python-{python.version}\0".encode(),
    }


@attrs.frozen
class Yard:
    """A home, a project, and wheels in a folder that is uv's only index."""

    folder: Path
    wheels: Path
    runtime: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def registry(self) -> OciLayoutRegistry:
        return OciLayoutRegistry(self.home / "registry")

    def ask(self, **environment: Any) -> None:
        """Write the project's specification."""
        document = {
            "name": "digits",
            "code": {"entry": "score.py"},
            "models": ["weights.bin"],
            "environment": {"requirements": ["mathy"], **environment},
        }
        (self.project / "engine.yaml").write_text(json.dumps(document))

    def make(self, registry: str = FOLDER, lines: list[str] | None = None) -> Built:
        tell = (lines if lines is not None else []).append
        return asyncio.run(make(self.home, self.project, 1, self.runtime, registry, tell))

    def start(self, *, revision: int = 1, dies_at: int = -1, registry: str = FOLDER) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "tests.fault.image_maker"]
        order = (self.home, self.project, revision, self.runtime, registry, dies_at)
        return subprocess.Popen(
            [*argv, *map(str, order)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, **how: Any) -> dict[str, Any]:
        out, err = self.start(**how).communicate(timeout=100)
        assert out, err
        return dict(json.loads(out))

    def put_base(self, members: dict[str, Any] | None = None) -> None:
        content = layer(members or base_members(find_interpreter(None)))
        asyncio.run(put_image(self.registry, [content], variables=["PATH=/usr/local/bin"]))

    def images(self) -> dict[str, str]:
        """List every tag of an image that was made here, with its manifest's digest."""
        index = json.loads((self.home / "registry/index.json").read_text())
        names = {
            one["annotations"]["org.opencontainers.image.ref.name"]: one["digest"]
            for one in index["manifests"]
            if "org.opencontainers.image.ref.name" in one.get("annotations", {})
        }
        return {name: digest for name, digest in names.items() if name.startswith("images/")}

    def check_whole(self) -> None:
        """Hold every image that a tag names against its digests."""
        blobs = self.home / "registry/blobs/sha256"
        for digest in self.images().values():
            manifest = json.loads(checked(blobs, digest))
            for one in (manifest["config"], *manifest["layers"]):
                assert len(checked(blobs, one["digest"])) == one["size"]

    def left_over(self) -> list[str]:
        """Name whatever lies in the cache beside locks, remembered layers and facts of bases."""
        cache = self.home / "cache"
        kept = {"layers", "uv", "images", "bases", "environments"}
        found = [one for one in cache.iterdir() if one.name not in kept] if cache.exists() else []
        inside = [one for part in ("images", "bases") for one in (cache / part).glob("*")]
        return [str(one) for one in [*found, *inside] if one.suffix not in (".lock", ".json")]


def checked(blobs: Path, digest: str) -> bytes:
    content = (blobs / digest.removeprefix("sha256:")).read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest.removeprefix("sha256:")
    return content


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yard:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    write_wheel(wheels, "mathy", "2.0")
    write_wheel(wheels, "oldish", "0.1", requires=("mathy<2",))
    write_wheel(wheels, "foreign", "1.0", tag="cp39-cp39-win_amd64")
    (tmp_path / "bundled").mkdir()
    runtime = write_wheel(
        tmp_path / "bundled",
        "modelyard-runtime",
        "0.1.0",
        requires=('mathy>=1; extra == "serve"',),
    )
    for name, value in {
        "UV_FIND_LINKS": str(wheels),
        "UV_NO_INDEX": "1",
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
        "DOCKER_HOST": f"unix://{tmp_path}/no-docker.sock",
        "MODELYARD_HOME": str(tmp_path / "home"),
    }.items():
        monkeypatch.setenv(name, value)
    made = Yard(tmp_path, wheels, runtime)
    made.project.mkdir()
    (made.project / "score.py").write_text("def run(data):\n    return data\n")
    (made.project / "weights.bin").write_bytes(b"w" * 5_000)
    made.ask()
    made.put_base()
    return made


@pytest.mark.parametrize(
    ("environment", "kind", "says"),
    [
        ({"base": f"{FOLDER}/nothing/there:1"}, NotFound, "nothing/there"),
        ({"base": f"{FOLDER}/{BASES}:gone"}, NotFound, "gone"),
        ({"base": "nobody.example/team/base:1"}, Unavailable, "nobody.example"),
        ({"base": f"{FOLDER}/../../etc:1"}, UserError, "etc"),
        ({"base": f"{FOLDER}/{BASES}:-rf"}, UserError, "-rf"),
        ({"base": f"{FOLDER}/{BASES}@sha256:0"}, UserError, "sha256:0"),
        ({"python": "3.8"}, UserError, "3.8"),
        ({"requirements": ["nosuchthing"]}, EnvironmentUnsolvable, "`nosuchthing`"),
        ({"requirements": ["mathy==9"]}, EnvironmentUnsolvable, "`mathy==9`"),
        ({"requirements": ["mathy==2.0", "oldish"]}, EnvironmentUnsolvable, "`oldish`"),
        ({"requirements": ["foreign"]}, EnvironmentUnsolvable, "`foreign`"),
    ],
)
def test_what_cannot_be_built_is_told_with_a_remedy_and_leaves_no_image(
    yard: Yard, environment: dict[str, Any], kind: type[ModelyardError], says: str
):
    yard.ask(**environment)
    with pytest.raises(kind) as caught:
        yard.make()
    assert says in f"{caught.value} {caught.value.remedy}"
    assert caught.value.remedy
    assert yard.images() == {}
    assert yard.left_over() == []


@pytest.mark.parametrize(
    "name", ["../x", "a/b/c", "Digits", "x" * 40, "dig:its", "digits@sha256", "-digits", "..."]
)
def test_a_service_cannot_be_named_so_that_its_image_lies_elsewhere(yard: Yard, name: str):
    raw = {"name": name, "code": {"entry": "score.py"}}
    with pytest.raises(SpecError) as caught:
        parse_service(raw, base=yard.project)
    assert [found["key"] for found in caught.value.findings] == ["name"]


def test_a_base_without_a_python_is_told(yard: Yard):
    yard.put_base({"etc/hostname": b"base"})
    with pytest.raises(UserError, match="Python") as caught:
        yard.make()
    assert caught.value.remedy
    assert yard.images() == {}
    assert yard.left_over() == []


def test_a_damaged_layer_of_the_base_is_found_out_and_no_image_stands_on_it(yard: Yard):
    manifest = asyncio.run(yard.registry.pull(BASES, "3"))
    blob = yard.home / "registry/blobs/sha256" / manifest.layers[0].digest.removeprefix("sha256:")
    blob.chmod(0o600)
    blob.write_bytes(b"x" * manifest.layers[0].size)
    with pytest.raises(StoreDamaged) as caught:
        yard.make()
    assert blob.name in str(caught.value)
    assert caught.value.remedy
    assert yard.images() == {}
    assert yard.left_over() == []


def test_an_image_that_lost_a_layer_is_no_ground_for_a_service(yard: Yard):
    yard.make()
    (environment,) = [name for name in yard.images() if name.startswith("images/environments")]
    repository, _, tag = environment.rpartition(":")
    manifest = asyncio.run(yard.registry.pull(repository, tag))
    blob = yard.home / "registry/blobs/sha256" / manifest.layers[-1].digest.removeprefix("sha256:")
    blob.unlink()
    shutil.rmtree(yard.home / "cache/layers")
    (yard.project / "score.py").write_text("def run(data):\n    return 2\n")
    before = yard.images()
    with pytest.raises(ModelyardError) as caught:
        yard.make()
    assert manifest.layers[-1].digest in str(caught.value)
    assert yard.images() == before
    assert yard.left_over() == []


def test_a_second_build_says_that_it_is_there_and_makes_the_same(yard: Yard):
    first, lines = yard.make(), list[str]()
    assert yard.make(lines=lines) == first
    assert not any("builds it" in line for line in lines)
    yard.check_whole()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_processes_that_want_one_image_at_once_build_it_once(yard: Yard):
    several = [yard.start(revision=number) for number in range(1, 11)]
    told = []
    for one in several:
        out, err = one.communicate(timeout=250)
        assert one.returncode == 0, err
        told.append(json.loads(out))
    assert len({one["digest"] for one in told}) == 1
    assert sum(one["builds"] for one in told) == 1
    assert len([name for name in yard.images() if name.startswith("images/services/digits:")]) == 10
    yard.check_whole()
    assert yard.left_over() == []


def killed(yard: Yard, step: int) -> None:
    process = yard.start(dies_at=step)
    _, err = process.communicate(timeout=100)
    assert process.returncode == -signal.SIGKILL, err


def fresh(yard: Yard) -> None:
    shutil.rmtree(yard.home)
    yard.put_base()


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_killed_in_the_middle_it_shows_no_half_image_and_the_next_run_makes_the_same(yard: Yard, part: float):
    whole = yard.run()
    fresh(yard)
    killed(yard, int(whole["steps"] * part))
    yard.check_whole()
    assert yard.run()["digest"] == whole["digest"]
    yard.check_whole()
    assert yard.left_over() == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_before_any_step_it_shows_no_half_image_and_the_next_run_makes_the_same(yard: Yard):
    whole = yard.run()
    for step in range(whole["steps"]):
        fresh(yard)
        killed(yard, step)
        yard.check_whole()
        again = yard.run()
        assert again["digest"] == whole["digest"], f"killed before step {step}"
        yard.check_whole()
        assert yard.left_over() == [], f"killed before step {step}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_again_and_again_on_the_same_home_it_gets_there(yard: Yard):
    whole = yard.run()
    fresh(yard)
    for step in range(0, whole["steps"], 3):
        process = yard.start(dies_at=step)
        process.communicate(timeout=100)
        yard.check_whole()
    assert yard.run()["digest"] == whole["digest"]
    assert yard.left_over() == []


def serve(yard: Yard, host: str) -> str:
    """Make the engine know a server, and put the base there."""
    yard.home.mkdir(exist_ok=True)
    (yard.home / "registries.toml").write_text(f'[registry.company]\nhost = "{host}"\n')
    return "company"


@needs_registry
def test_a_registry_that_wants_a_login_is_told_with_the_command(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with running(tmp_path / "real", has_password=True) as real:
        registry = serve(yard, real.host)
        with pytest.raises(ModelyardError, match=r"login") as caught:
            yard.make(registry)
    assert PASSWORD not in str(caught.value)
    assert "docker login" in caught.value.remedy
    assert yard.left_over() == []


@needs_registry
@pytest.mark.parametrize("after_bytes", [2_000, 6_000])
def test_an_image_that_is_pushed_over_a_line_that_is_cut_arrives_whole(
    yard: Yard, tmp_path: Path, after_bytes: int
):
    with running(tmp_path / "real") as real:
        content = layer(base_members(find_interpreter(None)))
        asyncio.run(put_image(connect(real), [content], variables=["PATH=/usr/local/bin"]))
        with cutting(real.host, after_bytes=after_bytes) as line:
            built = yard.make(serve(yard, line.host))
            assert line.cuts == 1
        assert built.image
        name = f"{built.image.repository}@{built.image.digest}"
        manifest = asyncio.run(connect(real).pull(built.image.repository, built.image.digest))
        for one in manifest.layers:
            assert asyncio.run(connect(real).has_blob(built.image.repository, one.digest)), name
    assert yard.left_over() == []


@needs_registry
def test_a_registry_that_is_down_is_named_and_the_next_run_makes_the_image(yard: Yard, tmp_path: Path):
    with running(tmp_path / "real") as real:
        content = layer(base_members(find_interpreter(None)))
        asyncio.run(put_image(connect(real), [content], variables=["PATH=/usr/local/bin"]))
        host = real.host
    with pytest.raises(Unavailable, match=host.replace(".", r"\.")) as caught:
        yard.make(serve(yard, host))
    assert caught.value.remedy
    assert yard.left_over() == []
    with running(tmp_path / "real") as real:
        assert yard.make(serve(yard, real.host)).image


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("full", ["registry", "cache"])
def test_a_full_disk_ends_the_build_with_a_clear_error_and_room_makes_it_whole(
    yard: Yard, small_disk: Path, full: str
):
    (yard.home / full).mkdir(exist_ok=True)
    shutil.copytree(yard.home / full, small_disk, dirs_exist_ok=True)
    shutil.rmtree(yard.home / full)
    (yard.home / full).symlink_to(small_disk)
    noise = os.urandom(9_000_000).hex()
    write_wheel(yard.wheels, "large", "1.0", more={"large/noise.txt": noise})
    yard.ask(requirements=["large"])
    with pytest.raises(SystemError_, match=r"full|space") as caught:
        yard.make()
    assert caught.value.remedy
    yard.check_whole()
    assert yard.left_over() == []
    assert not list(small_disk.rglob(".incoming-*"))
    (yard.home / full).unlink()
    shutil.copytree(small_disk, yard.home / full)
    assert yard.make().image
    yard.check_whole()
