"""What a laid out conda environment offers to the environment on top: its Python, and packages that hold."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath

import attrs
import pytest
from modelyard.api import BasePython, EnvironmentUnsolvable
from modelyard.environments import (
    Asked,
    CondaLock,
    CondaPackage,
    Interpreter,
    Preinstalled,
    lay_out,
    lock_of,
    pip_constraints,
    python_of,
    solve_for_base,
)
from modelyard.environments.conda.pythons import locked_python
from modelyard.processes import Home

from .conftest import PREFIX, Conda
from .making import Made, metadata, write_channel
from .test_locks import ONE, locked


def test_the_python_of_a_tree_is_described_as_it_will_be_at_its_prefix(
    conda: Conda, channel: Path, minor: str, interpreter: Interpreter
):
    spec = conda.spec("purely", channels=(channel,))
    lock = conda.solve(spec)
    tree = conda.lay(spec, lock=lock)
    python = python_of(lock, tree, prefix=PREFIX)
    assert python == BasePython(
        path=PREFIX / "bin" / f"python{minor}",
        version=interpreter.version,
        abi=f"cp{minor.replace('.', '')}",
        libc="glibc-2.36",
        machine="x86_64",
        shared_libpython=True,
    )
    (tree / f"lib/libpython{minor}.so.1.0").unlink()
    assert python_of(lock, tree, prefix=PREFIX) == attrs.evolve(python, shared_libpython=False)


def test_an_environment_without_python_has_none(conda: Conda, channel: Path):
    spec = conda.spec("libtiny", channels=(channel,))
    lock = conda.solve(spec)
    tree = conda.lay(spec, lock=lock)
    assert python_of(lock, tree, prefix=PREFIX) is None
    assert pip_constraints(tree) == ()


def python_lock(version: str, build: str, **more: str) -> CondaLock:
    def package(name: str, version: str, build: str) -> CondaPackage:
        return attrs.evolve(ONE, name=name, version=version, build=build)

    return locked(package("python", version, build), *(package(name, "3", of) for name, of in more.items()))


@pytest.mark.parametrize(
    ("lock", "abi"),
    [
        (python_lock("3.11.9", "hb806964_0_cpython"), "cp311"),
        (python_lock("3.13.1", "h9a34b6e_2_cp313t"), "cp313t"),
        (python_lock("3.13.1", "h0", python_abi="7_cp313t"), "cp313t"),
        (python_lock("3.13.1", "h0", python_abi="7_cp313"), "cp313"),
        (python_lock("3.9.18", "h0"), "cp39"),
    ],
)
def test_a_lock_tells_which_byte_code_its_python_reads(lock: CondaLock, abi: str):
    python = locked_python(lock, prefix=PurePosixPath("/env"))
    assert python is not None
    assert python.abi == abi
    assert python.path.name == f"python3.{abi.removeprefix('cp3')}"


@pytest.mark.parametrize(("version", "build"), [("2.7.18", "0"), ("3.9.18", "1_73_pypy"), ("3.13.0rc2", "x")])
def test_what_is_no_released_cpython_is_refused(version: str, build: str):
    with pytest.raises(EnvironmentUnsolvable, match="is no CPython 3"):
        locked_python(python_lock(version, build), prefix=PREFIX)


def test_packages_are_found_by_what_they_say_of_themselves(tmp_path: Path):
    site = tmp_path / "lib/python3.11/site-packages"
    files = {
        "numpy-1.26.4.dist-info/METADATA": metadata("NumPy", "1.26.4", "Requires-Dist: not-looked-at"),
        "old_thing-1.0-py3.11.egg-info/PKG-INFO": metadata("old.thing", "1.0"),
        "older-2.0.egg-info": metadata("older", "2.0"),
        "extra-1.0.dist-info/METADATA": metadata(
            "extra",
            "1.0",
            "Provides-Extra: more",
            'Requires-Dist: needed ; extra == "more"',
            "Requires-Dist: base",
        ),
        "bare-0.dist-info/METADATA": metadata("bare", "unknown"),
        "empty.dist-info/RECORD": "",
    }
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    assert pip_constraints(tmp_path) == (
        Preinstalled("extra", "1.0", ("more",), ('needed ; extra == "more"',)),
        Preinstalled("numpy", "1.26.4"),
        Preinstalled("old-thing", "1.0"),
        Preinstalled("older", "2.0"),
    )


def test_what_pip_installs_lies_on_top_of_what_conda_has(
    conda: Conda,
    channel: Path,
    index: Path,
    tmp_path: Path,
    home: Home,
):
    """`modelish` needs `mathy`: conda has one that no index has, and it is not installed a second time."""
    write_channel(
        channel,
        Made(
            "py-mathy",
            "1.5",
            depends=("python",),
            noarch="python",
            files={
                "site-packages/mathy/__init__.py": "VERSION = 'of conda'\n",
                "site-packages/mathy-1.5.dist-info/METADATA": metadata("mathy", "1.5"),
            },
        ),
    )
    spec = conda.spec("py-mathy", {"pip": ["modelish"]}, channels=(channel,))
    lock = conda.solve(spec)
    below = conda.lay(spec, lock=lock)
    python = python_of(lock, below, prefix=PREFIX)
    assert python is not None

    async def on_top() -> Path:
        text = await solve_for_base(
            Asked(spec.pip),
            python,
            key="k",
            runtime=None,
            home=home,
            records=conda.records,
            preinstalled=pip_constraints(below),
        )
        pins = lock_of(text)
        assert pins.packages == ("modelish==3.1",)
        folder = tmp_path / "work/env"
        prefix = PurePosixPath("/opt/modelyard/env")
        await lay_out(pins, folder, prefix=prefix, python=python, runtime=None, system_packages=True)
        return folder

    tree = asyncio.run(on_top())
    assert index.is_dir()
    site = tree / f"lib/python{python.minor}/site-packages"
    assert sorted(path.name for path in site.iterdir()) == ["modelish", "modelish-3.1.dist-info"]
    assert (tree / "bin/python").readlink() == Path(python.path)
    cfg = (tree / "pyvenv.cfg").read_text()
    assert f"home = {PREFIX}/bin\n" in cfg
    assert "include-system-site-packages = true\n" in cfg
