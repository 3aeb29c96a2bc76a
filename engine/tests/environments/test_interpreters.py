"""Interpreters: the wanted version, with a shared libpython, or the package to install."""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from modelyard.api import EnvironmentSpec, EnvironmentUnsolvable
from modelyard.environments import Interpreter, bundled_runtime, ensure, find_interpreter, interpreters, solve
from modelyard.environments.interpreters import choose, matches, probe
from modelyard.processes import Home, run

PYTHON = Interpreter(Path("/usr/bin/python3.11"), "3.11.7", "cp311", "glibc-2.36", True)


def test_the_running_interpreter_describes_itself():
    found = probe(Path(sys.executable))
    assert found is not None
    assert found.version == platform.python_version()
    assert found.abi.startswith(f"cp{sys.version_info[0]}{sys.version_info[1]}")


def test_what_is_no_python_is_passed_over(tmp_path: Path):
    fake = tmp_path / "python3.11"
    fake.write_text("#!/bin/sh\necho hello\n")
    fake.chmod(0o755)
    assert probe(fake) is None
    assert probe(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [("3.11", True), ("3.11.7", True), ("3.1", False), ("3.11.70", False), ("3.12", False)],
)
def test_versions_match_by_whole_parts(wanted: str, fits: bool):  # noqa: FBT001  a table's column
    assert matches(PYTHON, wanted) is fits


def test_the_first_with_a_shared_libpython_is_taken_and_no_further_one_is_made():
    def candidates() -> Iterator[Interpreter]:
        yield attrs.evolve(PYTHON, version="3.12.1")
        yield attrs.evolve(PYTHON, shared_libpython=False)
        yield PYTHON
        pytest.fail("a download was tried without need")

    assert choose("3.11", candidates()) is PYTHON


def test_without_a_shared_libpython_the_package_is_named():
    with pytest.raises(EnvironmentUnsolvable, match=r"install libpython3\.11 \(Debian"):
        choose("3.11", iter([attrs.evolve(PYTHON, shared_libpython=False)]))


def test_a_python_that_is_not_to_be_had_is_named():
    with pytest.raises(EnvironmentUnsolvable, match=r"Python 3\.13 is not installed"):
        choose("3.13", iter([PYTHON]))


def test_a_script_alone_needs_no_shared_libpython():
    unshared = attrs.evolve(PYTHON, shared_libpython=False)
    assert choose("3.11", iter([unshared]), serving=False) is unshared


def test_a_version_of_pyenv_is_found_though_nobody_chose_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    minor = ".".join(map(str, sys.version_info[:2]))
    kept = tmp_path / "versions" / f"{minor}.99" / "bin" / f"python{minor}"
    kept.parent.mkdir(parents=True)
    kept.symlink_to(sys.executable)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert [one.version for one in interpreters._pyenv(minor)] == [platform.python_version()]
    assert list(interpreters._pyenv("3.2")) == []


def test_an_older_python_serves_scripts_but_not_the_server():
    with pytest.raises(EnvironmentUnsolvable, match=r"older than the runtime's oldest, 3\.11") as caught:
        find_interpreter("3.8")
    assert "isolation: process" in caught.value.remedy
    with pytest.raises(EnvironmentUnsolvable, match=r"older than the runtime's oldest, 3\.8"):
        find_interpreter("3.7", serving=False)


@pytest.mark.parametrize(
    ("wanted", "says"), [("3.8", "older than the runtime's"), ("latest", "is not a Python")]
)
def test_a_version_that_cannot_be_is_refused_at_once(wanted: str, says: str):
    with pytest.raises(EnvironmentUnsolvable, match=says):
        find_interpreter(wanted)


def test_the_engine_brings_one_runtime_wheel_with_what_serving_needs():
    wheel = bundled_runtime()
    assert len(wheel.digest) == 64
    assert any(line.startswith("pyvoy") for line in wheel.requires)


@pytest.mark.slow
def test_the_real_runtime_is_installed_and_starts(home: Home, records: object):
    async def case() -> str:
        python = find_interpreter(None)
        wheel = bundled_runtime()
        lock = await solve(
            EnvironmentSpec(),
            home=home,
            records=records,  # type: ignore[arg-type]
            interpreter=python,
            runtime=wheel,
        )
        folder = await ensure(lock, python, home=home, runtime=wheel)
        code = "import pyvoy, numpy, modelyard_runtime.contract; print('served')"
        done = await run([str(folder / "bin/python"), "-I", "-c", code], timeout_seconds=30)
        return done.output_tail

    assert asyncio.run(case()) == "served"
