"""A channel of the test's own, and conda environments solved and laid out from it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from modelyard.environments import (
    CondaLock,
    CondaPlatform,
    CondaSettings,
    CondaSpec,
    Interpreter,
    conda_platform,
    lay_out_conda,
    solve_conda,
)
from modelyard.processes import Home

from .making import LIBTINY, PURELY, python_package, write_channel

PREFIX = PurePosixPath("/opt/modelyard/conda")
PLATFORM = conda_platform("x86_64", "glibc-2.36")


class Conda:
    """Solves and lays out as an image's build does; keeps what it was told."""

    def __init__(self, folder: Path, home: Home, records: Any) -> None:
        self.folder, self.home, self.records = folder, home, records
        self.settings = CondaSettings(alias="https://alias.invalid/")
        self.lines: list[str] = []

    def spec(
        self, *dependencies: object, channels: tuple[object, ...] = (), python: str | None = None
    ) -> CondaSpec:
        conda: Mapping[str, object] = {
            "channels": list(map(str, channels)),
            "dependencies": list(dependencies),
        }
        return CondaSpec.read(conda, python=python)

    def solve(self, spec: CondaSpec, platform: CondaPlatform = PLATFORM, **more: Any) -> CondaLock:
        solving = solve_conda(
            spec,
            platform,
            home=self.home,
            records=self.records,
            settings=self.settings,
            on_line=self.lines.append,
            **more,
        )
        return asyncio.run(solving)

    def lay(
        self,
        spec: CondaSpec,
        *,
        tree: str = "work/tree",
        prefix: PurePosixPath = PREFIX,
        lock: CondaLock | None = None,
        home: Home | None = None,
    ) -> Path:
        folder = self.folder / tree
        laying = lay_out_conda(
            lock or self.solve(spec),
            folder,
            prefix=prefix,
            spec=spec,
            home=home or self.home,
            settings=self.settings,
            on_line=self.lines.append,
        )
        asyncio.run(laying)
        return folder


@pytest.fixture
def conda(tmp_path: Path, home: Home, records: object) -> Conda:
    return Conda(tmp_path, home, records)


@pytest.fixture
def minor(interpreter: Interpreter) -> str:
    """The version for which this machine can compile."""
    return interpreter.version.rpartition(".")[0]


@pytest.fixture
def channel(tmp_path: Path, interpreter: Interpreter) -> Path:
    python = python_package(interpreter.version, depends=("libtiny", "__glibc >=2.17"))
    return write_channel(tmp_path / "channel", python, LIBTINY, PURELY)


def left(tmp_path: Path) -> list[str]:
    """What lies where trees are made, but for locks."""
    names = (one.name for one in (tmp_path / "work").glob("*")) if (tmp_path / "work").is_dir() else ()
    return sorted(name for name in names if not name.endswith(".lock"))
