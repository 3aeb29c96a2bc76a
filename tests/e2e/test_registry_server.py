"""An engine keeps its artifacts on a registry server, and serves on when that server is gone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.registry.tests.distribution.real import RealRegistry, needs_registry, needs_skopeo, running
from tests.conftest import ROOT, RunningEngine, doubler, engine_at
from tests.e2e.test_documentation import Command, File, Reader, shown

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240), needs_registry, needs_skopeo]
PAGE = ROOT / "docs" / "how-to" / "use-a-registry.md"


@pytest.fixture
def engine_of(
    home_folder: Path, environments: Path, tmp_path: Path
) -> Iterator[tuple[RunningEngine, RealRegistry]]:
    """An engine whose settings are the how-to's, but for the server's address."""
    with running(tmp_path / "server") as real, engine_at(home_folder / "home", environments) as engine:
        yield engine, real


def follow(engine: RunningEngine, real: RealRegistry, folder: Path) -> None:
    reader = Reader(engine, folder)
    for step in shown(PAGE):
        if isinstance(step, Command):
            reader.run(step)
            continue
        file = engine.folder / step.path
        before = file.read_text() if file.exists() else ""
        file.write_text(before + step.content.replace("registry.example:5000", real.host))


def tags(real: RealRegistry, repository: str) -> list[str]:
    place = f"docker://{real.host}/team/models/{repository}"
    command = ["skopeo", "list-tags", "--tls-verify=false", place]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return list(json.loads(done.stdout)["Tags"]) if done.returncode == 0 else []


def test_the_how_to_brings_code_models_and_locks_to_the_server(
    engine_of: tuple[RunningEngine, RealRegistry], tmp_path: Path
):
    engine, real = engine_of
    doubler(tmp_path / "digits", name="digits")
    follow(engine, real, tmp_path)
    assert engine.post("digits", {"data": [1, 2]}).json() == [2, 4]
    assert tags(real, "code/digits") == ["1"]
    assert tags(real, "models/factor") == ["1"]
    assert len(tags(real, "environments")) == 1


def test_a_server_that_is_gone_stops_new_deploys_alone(home_folder: Path, environments: Path, tmp_path: Path):
    doubler(tmp_path / "digits", name="digits")
    with engine_at(home_folder / "home", environments) as engine:
        with running(tmp_path / "server") as real:
            follow(engine, real, tmp_path)
        doubler(tmp_path / "digits", name="digits", factor=3)
        failed = engine.cli("deploy", tmp_path / "digits")
        assert failed.code == 2
        assert "the registry does not answer" in failed.out + failed.err
        assert engine.post("digits", {"data": [1, 2]}).json() == [2, 4]


def test_shown_files_are_those_that_the_engine_reads():
    assert {step.path for step in shown(PAGE) if isinstance(step, File)} == {
        "registries.toml",
        "settings.yaml",
    }
