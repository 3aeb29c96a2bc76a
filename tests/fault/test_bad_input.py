"""Bad input and a bad machine: each ends in a clear error with a remedy, and what serves goes on."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import SCORE, Prober, RunningEngine, doubler, engine_at, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def serving(shared_engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> RunningEngine:
    shared_engine.deploy(doubler(tmp_path_factory.mktemp("first") / "doubler"))
    return shared_engine


def without_script(folder: Path) -> None:
    (folder / "score.py").unlink()


def without_run(folder: Path) -> None:
    (folder / "score.py").write_text("def init():\n    pass\n")


def with_a_syntax_error(folder: Path) -> None:
    (folder / "score.py").write_text("def run(data:\n")


def without_model(folder: Path) -> None:
    (folder / "factor.json").unlink()


def with_an_ignored_script(folder: Path) -> None:
    (folder / ".amlignore").write_text("*.py\n")


def with_a_link_out_of_the_folder(folder: Path) -> None:
    (folder / "secret").symlink_to("/etc/passwd")


def with_packages_that_exclude_each_other(folder: Path) -> None:
    with (folder / "engine.yaml").open("a") as spec:
        spec.write("environment: {requirements: ['numpy==2.4.6', 'numpy<1']}\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_script, "score.py"),
        (without_run, "run"),
        (with_a_syntax_error, "score.py"),
        (without_model, "factor.json"),
        (with_an_ignored_script, "score.py"),
        (with_a_link_out_of_the_folder, "secret"),
        (with_packages_that_exclude_each_other, "numpy"),
    ],
)
def test_a_bad_project_is_refused_by_name_and_the_old_version_serves_on(
    serving: RunningEngine, tmp_path: Path, spoil: Callable[[Path], None], words: str
):
    folder = doubler(tmp_path / "doubler", factor=7)
    spoil(folder)
    failed = serving.cli("deploy", folder)
    assert failed.code == 1, failed.out + failed.err
    assert words in failed.err
    assert "remedy" in failed.err or "(" in failed.err
    assert serving.post("doubler", {"data": [1]}).json() == [2]


def test_a_port_in_use_is_named_with_a_remedy(home_folder: Path, environments: Path):
    with socket.socket() as taken, engine_at(home_folder / "home", environments) as engine:
        taken.bind(("127.0.0.1", engine.port))
        taken.listen()
        answer = engine.cli("up")
    assert answer.code == 1
    assert str(engine.port) in answer.err
    assert "remedy" in answer.err


def test_a_damaged_store_stops_nothing_and_the_named_remedy_mends_it(engine: RunningEngine, tmp_path: Path):
    engine.deploy(doubler(tmp_path / "doubler"))
    key = engine.key("doubler")
    assert engine.cli("down", "--keep-replicas").code == 0
    engine.up()
    assert engine.cli("down", "--keep-replicas").code == 0
    store = engine.home.store_file
    for leftover in (store.with_name(store.name + "-wal"), store.with_name(store.name + "-shm")):
        leftover.unlink(missing_ok=True)
    store.write_bytes(b"not a database, whatever it was" * 100)
    answer = engine.cli("up")
    assert answer.code == 2
    assert str(store) in answer.err
    assert ".bak" in answer.err
    assert engine.post("doubler", {"data": [1]}, key=key).json() == [2]
    shutil.copyfile(f"{store}.bak", store)
    engine.up()
    until(lambda: engine.client.service("doubler").state.value == "Healthy")
    assert engine.post("doubler", {"data": [1]}).json() == [2]


@pytest.mark.slow
def test_a_corrupt_environment_is_made_again(home_folder: Path, tmp_path: Path):
    own_cache = home_folder / "environments"
    own_cache.mkdir()
    with engine_at(home_folder / "home", own_cache) as engine:
        engine.up()
        engine.deploy(doubler(tmp_path / "one", name="one"))
        (entry,) = [path for path in engine.home.environments.iterdir() if (path / "bin" / "python").exists()]
        damaged = next(entry.glob("lib/python*/site-packages/modelyard_runtime/contract.py"))
        damaged.unlink()  # not written into: its content is shared with uv's cache
        damaged.write_text("")
        engine.deploy(doubler(tmp_path / "two", name="two"))
        assert engine.post("two", {"data": [1]}).json() == [2]
        assert engine.post("one", {"data": [1]}).json() == [2]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_fails_the_deploy_with_its_place_and_what_serves_goes_on(
    home_folder: Path, environments: Path, small_disk: Path, tmp_path: Path
):
    (home_folder / "home").mkdir()
    (home_folder / "home" / "models").symlink_to(small_disk)
    with engine_at(home_folder / "home", environments) as engine:
        engine.up()
        engine.deploy(doubler(tmp_path / "small-model"))
        key = engine.key("doubler")
        folder = doubler(tmp_path / "big-model", factor=3)
        (folder / "weights.bin").write_bytes(os.urandom(40_000_000))
        spec = (folder / "engine.yaml").read_text().replace("[factor.json]", "[factor.json, weights.bin]")
        (folder / "engine.yaml").write_text(spec)
        prober = Prober(lambda _: engine.post("doubler", {"data": [1]}, key=key), threads=2)
        with prober.running():
            failed = engine.cli("deploy", folder)
        assert failed.code != 0
        assert "space" in failed.err or "full" in failed.err
        assert "remedy" in failed.err
        assert prober.failures == []


def test_a_replica_over_its_memory_limit_is_named_as_such(lent_engine: RunningEngine, tmp_path: Path):
    greedy = SCORE.replace(
        "    global factor", "    global hoard\n    hoard = b'x' * 600_000_000\n    global factor"
    )
    more = "resources: {memory: 256Mi, limits: {memory: 300Mi}}\n"
    failed = lent_engine.cli("deploy", doubler(tmp_path / "greedy", name="greedy", score=greedy, more=more))
    assert failed.code == 2
    assert "memory limit" in failed.err
