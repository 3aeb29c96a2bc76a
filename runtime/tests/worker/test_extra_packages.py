"""Packages that a service names in AZUREML_EXTRA_REQUIREMENTS_TXT are there when its script is imported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from modelyard_runtime.worker.extra_packages import extra_packages
from modelyard_runtime.worker.failures import ScriptError

from runtime.tests.worker.asking import scored
from runtime.tests.worker.wheels import write_wheel

ROOT = Path(__file__).parents[3]
SCRIPT = "import extra_thing\ndef init(): pass\ndef run(data): return extra_thing.VALUE\n"


@pytest.fixture
def uv() -> str:
    found = shutil.which("uv", path=f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}")
    assert found is not None, "make .venv-runtime/ready installs it"
    return found


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uv: str) -> Path:
    """A service whose requirements need a folder of wheels and no network."""
    (tmp_path / "extra.txt").write_text(f"--no-index\n--find-links {tmp_path / 'wheels'}\nextra-thing\n")
    monkeypatch.setenv("AZUREML_EXTRA_REQUIREMENTS_TXT", "extra.txt")
    monkeypatch.setenv("MODELYARD_PACKAGES", str(tmp_path / "packages"))
    monkeypatch.setenv("UV", uv)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def test_a_script_imports_what_its_service_has_installed(asking: Path, loaded: Any):
    write_wheel(asking / "wheels")
    try:
        assert scored(loaded(SCRIPT), "") == 31
    finally:
        sys.modules.pop("extra_thing", None)


def test_what_is_installed_is_not_installed_again(asking: Path):
    wheel = write_wheel(asking / "wheels")
    folder = extra_packages(str(asking))
    wheel.unlink()
    assert extra_packages(str(asking)) == folder
    assert (Path(folder) / "extra_thing.py").exists()


def test_an_installer_that_is_named_but_not_there_is_looked_for_on_the_path(
    asking: Path, monkeypatch: pytest.MonkeyPatch, uv: str
):
    write_wheel(asking / "wheels")
    monkeypatch.setenv("UV", "/another/machine/uv")
    monkeypatch.setenv("PATH", str(Path(uv).parent))
    assert (Path(extra_packages(str(asking))) / "extra_thing.py").exists()


def test_another_list_is_installed_in_place_of_the_first(asking: Path):
    write_wheel(asking / "wheels")
    folder = extra_packages(str(asking))
    (asking / "extra.txt").write_text("--no-index\n")
    assert extra_packages(str(asking)) == folder
    assert not (Path(folder) / "extra_thing.py").exists()


def test_what_cannot_be_installed_is_said_and_leaves_what_was_there(asking: Path):
    write_wheel(asking / "wheels")
    folder = extra_packages(str(asking))
    (asking / "extra.txt").write_text(f"--no-index\n--find-links {asking / 'wheels'}\nnosuch-thing\n")
    with pytest.raises(ScriptError, match=r"packages of extra\.txt cannot be installed") as caught:
        extra_packages(str(asking))
    assert caught.value.exit_code == 24
    assert (Path(folder) / "extra_thing.py").exists()


def test_a_list_that_is_not_there_is_said_by_its_name(asking: Path):
    (asking / "extra.txt").unlink()
    with pytest.raises(ScriptError, match=r"names extra\.txt, which cannot be read") as caught:
        extra_packages(str(asking))
    assert caught.value.exit_code == 24


@pytest.mark.parametrize(("module", "code"), [("extra-thing", 0), ("nosuch-thing", 24)])
def test_a_replica_by_hand_installs_them_before_it_loads_the_script(
    tmp_path: Path, uv: str, module: str, code: int
):
    write_wheel(tmp_path / "wheels")
    service = tmp_path / "service"
    service.mkdir()
    (service / "score.py").write_text(SCRIPT)
    (service / "extra.txt").write_text(f"--no-index\n--find-links {tmp_path / 'wheels'}\n{module}\n")
    (tmp_path / "sample.json").write_text("{}")
    said = [f"UV={uv}", f"UV_CACHE_DIR={tmp_path / 'cache'}", "AZUREML_EXTRA_REQUIREMENTS_TXT=extra.txt"]
    program = str(Path(sys.executable).parent / "modelyard-replica")
    argv = [
        program,
        "--check",
        "--port",
        "0",
        "--code",
        str(service),
        "--sample",
        str(tmp_path / "sample.json"),
    ]
    for one in said:
        argv += ["--env", one]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr
    assert ("31" in done.stdout.split()) == (code == 0)
