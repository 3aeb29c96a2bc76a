"""Laying out packages as the world has them: compiled ones, from the index."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath

import pytest
from modelyard.api import BasePython, EnvironmentSpec
from modelyard.environments import Interpreter, Lock, lay_out, solve
from modelyard.processes import Home

from .test_laying_out import said, snapshot


@pytest.fixture
def numpy(home: Home, records: object, interpreter: Interpreter) -> Lock:
    spec = EnvironmentSpec(requirements=("numpy",))
    return asyncio.run(
        solve(spec, home=home, records=records, interpreter=interpreter, runtime=None)  # type: ignore[arg-type]
    )


@pytest.mark.slow
def test_numpy_is_the_same_twice_and_runs_at_its_prefix(
    numpy: Lock, tmp_path: Path, base: BasePython, monkeypatch: pytest.MonkeyPatch
):
    prefix = tmp_path / "env"
    place = PurePosixPath(prefix)
    asyncio.run(lay_out(numpy, tmp_path / "a", prefix=place, python=base, runtime=None))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another-cache"))
    asyncio.run(lay_out(numpy, tmp_path / "b" / "c", prefix=place, python=base, runtime=None))
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b" / "c")
    (tmp_path / "a").rename(prefix)
    loaded = said(prefix / "bin/python", "-v", "-I", "-c", "import numpy; print(numpy.ones(3).sum())")
    assert "3.0" in loaded.splitlines()
    site = f"{prefix}/lib/python{base.minor}/site-packages/numpy/"
    assert f"# code object from '{site}__pycache__/__init__.cpython-" in loaded
    assert f"# code object from {site}" not in loaded  # what is compiled afresh is named without quotes


@pytest.mark.slow
def test_numpy_for_another_processor_brings_that_processors_libraries(
    numpy: Lock, tmp_path: Path, arm: BasePython
):
    asyncio.run(lay_out(numpy, tmp_path / "env", prefix=PurePosixPath("/env"), python=arm, runtime=None))
    native = [one.name for one in tmp_path.rglob("numpy/**/*.so")]
    assert native
    assert all(name.endswith("-aarch64-linux-gnu.so") for name in native)
