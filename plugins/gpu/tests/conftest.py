"""A machine with NVIDIA GPUs, as the real nvidia-ml-py sees it: a C library that answers from a scenario."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).parent / "fake_nvml"

Build = Callable[..., Path]
Look = Callable[..., dict[str, Any]]

LOOK = """
import json, sys
from pathlib import Path
import attrs
from modelyard_gpu import nvml
from modelyard_gpu.errors import NvmlFailed
try:
    print(json.dumps(attrs.asdict(nvml.read(Path(sys.argv[1])))))
except NvmlFailed as failure:
    print(json.dumps({"fault": failure.fault.value}))
"""


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Give a folder with the fake library, compiled with the given switches."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler to build the fake libnvidia-ml.so.1")
    built: dict[tuple[str, ...], Path] = {}

    def compile_with(*switches: str) -> Path:
        if switches not in built:
            built[switches] = tmp_path_factory.mktemp("nvml")
            _compile(compiler, switches, built[switches])
        return built[switches]

    return compile_with


@pytest.fixture
def look(build: Build, tmp_path: Path) -> Look:
    """Read a scenario in a fresh interpreter: the library must be on its path before it starts."""

    def look_at(
        scenario: str,
        *switches: str,
        pci_devices: Path = tmp_path,
        library: Path | None = None,
        code: str = LOOK,
    ) -> Any:
        file = tmp_path / "scenario"
        file.write_text(scenario)
        environ = {"LD_LIBRARY_PATH": str(library or build(*switches)), "FAKE_NVML_SCENARIO": str(file)}
        return run(code, pci_devices, environ)

    return look_at


def run(code: str, pci_devices: Path, environ: dict[str, str]) -> Any:
    """Run code that prints JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(pci_devices)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _compile(compiler: str, switches: tuple[str, ...], folder: Path) -> None:
    command = [compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-Wl,-soname,libnvidia-ml.so.1"]
    command += [f"-D{switch}" for switch in switches] + _headers()
    command += ["-o", str(folder / "libnvidia-ml.so.1"), str(SOURCES / "fake_nvml.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _headers() -> list[str]:
    """Prefer the vendor's header, where its wheel is installed: then gcc checks every signature."""
    try:
        files = importlib.metadata.files("nvidia-nvml-dev") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "nvml.h":
            return ["-DVENDOR_HEADER", f"-I{Path(str(file.locate())).parent}"]
    return [f"-I{SOURCES}"]
