"""Lock files as a tool of other people writes them, from the file to what is installed."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from modelyard.environments import RegistryLockRecords, ensure, find_interpreter, parse_pins, solve
from modelyard.environments.uv import uv_binary
from modelyard.processes import find_home
from modelyard.spec import read_service
from modelyard.testing import InMemoryRegistry

from engine.tests.environments.conftest import write_wheel
from engine.tests.environments.indexing import indexing

SECRET = "s3cret-0123456789"


def test_what_uv_locked_is_installed_from_the_index_with_the_hashes_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wheels, project = tmp_path / "wheels", tmp_path / "project"
    wheels.mkdir()
    project.mkdir()
    write_wheel(wheels, "mathy", "1.0")
    write_wheel(wheels, "modelish", "3.1", requires=("mathy>=1",))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    (project / "score.py").write_text("def run(data):\n    return data\n")
    (project / "engine.yaml").write_text(
        "name: digits\ncode: {entry: score.py}\nenvironment: {requirements: pylock.toml}\n"
    )
    with indexing(wheels, user=f"me:{SECRET}") as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.with_user(f"me:{SECRET}"))
        locking = ["pip", "compile", "--quiet", "--format", "pylock.toml", "-o", "pylock.toml", "-"]
        subprocess.run([uv_binary(), *locking], input="modelish\n", text=True, check=True, cwd=project)
        write_wheel(wheels, "mathy", "2.0")  # newer than what was locked
        spec = read_service(project)
        assert SECRET not in repr(spec)
        home = find_home({"MODELYARD_HOME": str(tmp_path / "home")})
        home.create()
        python = find_interpreter(None)

        async def build() -> tuple[str, Path]:
            records = RegistryLockRecords(InMemoryRegistry())
            lock = await solve(spec.environment, interpreter=python, runtime=None, home=home, records=records)
            return lock.text, await ensure(lock, python, runtime=None, home=home)

        text, folder = asyncio.run(build())
    assert list(parse_pins(text)) == ["mathy==1.0", "modelish==3.1"]
    assert list(folder.glob("lib/python3*/site-packages/mathy-1.0.dist-info"))
