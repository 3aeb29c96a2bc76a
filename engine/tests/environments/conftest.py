"""Tiny wheels in a folder that is uv's only index: nothing here needs a network."""

from __future__ import annotations

import asyncio
import hashlib
import platform
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import attrs
import pytest
from modelyard.api import BasePython
from modelyard.environments import (
    Interpreter,
    Lock,
    RuntimeWheel,
    find_interpreter,
    lay_out,
    make_lock,
)
from modelyard.environments.wheels import read_runtime
from modelyard.processes import Home, find_home


def write_wheel(
    folder: Path,
    name: str,
    version: str,
    *,
    requires: tuple[str, ...] = (),
    tag: str = "py3-none-any",
    more: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """`more` adds files; `INFO` in a path stands for `<name>-<version>`, as folders of metadata and data begin."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        "Provides-Extra: serve",
        *(f"Requires-Dist: {line}" for line in requires),
    ]
    files = {
        f"{module}/__init__.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        **{file.replace("INFO", f"{module}-{version}"): text for file, text in more.items()},
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    path = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(zipfile.ZipInfo(file, (2020, 1, 1, 0, 0, 0)), text)
    return path


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uv-cache")


@pytest.fixture
def index(tmp_path: Path, uv_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in {
        "UV_FIND_LINKS": str(folder),
        "UV_NO_INDEX": "1",
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(uv_cache),
    }.items():
        monkeypatch.setenv(name, value)
    write_wheel(folder, "mathy", "1.0")
    write_wheel(folder, "mathy", "2.0")
    write_wheel(folder, "modelish", "3.1", requires=("mathy>=1",))
    write_wheel(folder, "oldish", "0.1", requires=("mathy<2",))
    write_wheel(folder, "foreign", "1.0", tag="cp39-cp39-win_amd64")
    return folder


@pytest.fixture
def runtime(tmp_path: Path) -> RuntimeWheel:
    folder = tmp_path / "bundled"
    folder.mkdir()
    requires = ('mathy>=2; extra == "serve"',)
    return read_runtime(write_wheel(folder, "modelyard-runtime", "0.1.0", requires=requires))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = find_home({"MODELYARD_HOME": str(tmp_path / "home")})
    made.create()
    return made


@pytest.fixture(scope="session")
def interpreter() -> Interpreter:
    return find_interpreter(".".join(map(str, sys.version_info[:2])))


class Records:
    """Lock records in memory; counts what was asked."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.saved = 0

    async def load(self, spec_key: str) -> str | None:
        return self.texts.get(spec_key)

    async def save(self, spec_key: str, text: str) -> None:
        self.saved += 1
        self.texts[spec_key] = text


@pytest.fixture
def records() -> Records:
    return Records()


LayOut = Callable[..., Path]
TOOL = {
    "tooly/__main__.py": "def main():\n    print('tooly runs')\n",
    "tooly/old.py": "print 'of Python 2'\n",
    "tooly/__pycache__/old.cpython-39.pyc": "of another machine",
    f"tooly/__pycache__/__init__.{sys.implementation.cache_tag}.pyc": "of another machine",
    "INFO.dist-info/entry_points.txt": "[console_scripts]\ntooly = tooly.__main__:main\n",
    "INFO.data/scripts/tooly-old": "#!python\nimport sys, tooly\nprint(tooly.VERSION, sys.prefix)\n",
    "INFO.data/scripts/tooly-sh": "#!/bin/sh\necho shell\n",
    "INFO.data/data/share/tooly/table.txt": "1 2 3\n",
    "INFO.data/headers/tooly.h": "#define TOOLY\n",
}


@pytest.fixture
def base(interpreter: Interpreter) -> BasePython:
    """The base's Python is this machine's: what is laid out can be run here."""
    return BasePython(
        path=PurePosixPath(interpreter.path),
        version=interpreter.version,
        abi=interpreter.abi,
        libc=interpreter.libc,
        machine=platform.machine(),
        shared_libpython=True,
    )


@pytest.fixture
def lay(tmp_path: Path, base: BasePython, interpreter: Interpreter, index: Path) -> LayOut:
    """Lays wheels out at `tree`, a folder that differs from the prefix unless it is renamed to it."""
    assert index.is_dir()

    def once(
        *wheels: Path,
        tree: str = "work/tree",
        prefix: str = "/opt/env",
        python: BasePython = base,
        runtime: RuntimeWheel | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Path:
        folder, lock = tmp_path / tree, lock_of(*wheels, interpreter=interpreter)
        made = lay_out(
            lock, folder, prefix=PurePosixPath(prefix), python=python, runtime=runtime, on_line=on_line
        )
        asyncio.run(made)
        return folder

    return once


@pytest.fixture
def tooly(index: Path) -> Path:
    return write_wheel(index, "tooly", "1.0", more=TOOL)


@pytest.fixture
def arm(base: BasePython) -> BasePython:
    path = PurePosixPath("/usr/local/bin/python3")
    return attrs.evolve(base, path=path, version=f"{base.minor}.99", machine="aarch64", libc="glibc-2.31")


def lock_of(*wheels: Path, interpreter: Interpreter) -> Lock:
    pins = (
        f"{wheel.name.split('-')[0].replace('_', '-')}=={wheel.name.split('-')[1]}"
        f" --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
        for wheel in wheels
    )
    return make_lock("".join(pins), spec_key="s", interpreter=interpreter, runtime_digest="")
