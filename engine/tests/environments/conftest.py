"""Tiny wheels in a folder that is uv's only index: nothing here needs a network."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from modelyard.environments import Interpreter, RuntimeWheel, find_interpreter
from modelyard.environments.wheels import read_runtime
from modelyard.processes import Home, find_home


def write_wheel(
    folder: Path, name: str, version: str, *, requires: tuple[str, ...] = (), tag: str = "py3-none-any"
) -> Path:
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
