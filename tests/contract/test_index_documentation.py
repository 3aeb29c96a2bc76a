"""The variables that the page on private package indexes shows are in force as they stand there."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from modelyard.environments import Asked, parse_pins, solve_for_base
from modelyard.processes import find_home

from engine.tests.environments.conftest import Records, write_wheel
from engine.tests.environments.indexing import indexing
from tests.conftest import ROOT
from tests.e2e.test_documentation import File, shown
from tests.testbed.machine_base import machine_python

PAGE = ROOT / "docs/how-to/use-a-private-package-index.md"
EXAMPLE = "https://packages.company.example/simple"


def test_the_shown_variables_let_the_shown_user_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (file,) = shown(PAGE)
    assert isinstance(file, File)
    assert EXAMPLE in file.content
    (tmp_path / "wheels").mkdir()
    write_wheel(tmp_path / "wheels", "mathy", "1.0")
    with indexing(tmp_path / "wheels", user="builder:...") as index:
        text = file.content.replace(EXAMPLE, index.url)
        told = subprocess.run(
            ["/bin/sh", "-c", f"{text}\nenv"], check=True, capture_output=True, text=True
        ).stdout
        for line in told.splitlines():
            name, _, value = line.partition("=")
            if name.startswith("UV_INDEX"):
                monkeypatch.setenv(name, value)
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
        home = find_home({"MODELYARD_HOME": str(tmp_path / "home")})
        solving = solve_for_base(
            Asked(("mathy",)), machine_python(), key="k", runtime=None, home=home, records=Records()
        )
        assert list(parse_pins(asyncio.run(solving))) == ["mathy==1.0"]
        assert index.shown
