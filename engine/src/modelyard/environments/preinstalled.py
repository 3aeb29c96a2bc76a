"""Packages that are there before pip installs anything: they hold, and are not installed again.

uv takes no list of installed packages where it solves for another machine. So each is shown to it as a
wheel without content, as a constraint: what needs another version then has no solution, on any index.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import attrs

from modelyard.api import EnvironmentUnsolvable, ModelyardError
from modelyard.environments.conflicts import names
from modelyard.processes import disk_errors

_TAG = "py3-none-any"


@attrs.frozen
class Preinstalled:
    """A package by its canonical name, its version, and what its extras need (`Requires-Dist` lines)."""

    name: str
    version: str
    extras: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The package as a requirement: `numpy==1.26.4`."""
        return f"{self.name}=={self.version}"


def constrained(packages: Sequence[Preinstalled], folder: Path) -> list[str]:
    """Write wheels and constraints into `folder`; returns the options of `uv pip compile` that use them."""
    if not packages:
        return []
    wheels = folder / "preinstalled"
    constraints = folder / "preinstalled.txt"
    with disk_errors(folder):
        wheels.mkdir()
        lines = [f"{one.name} @ {_write_wheel(one, wheels).as_uri()}\n" for one in packages]
        constraints.write_text("".join(lines), encoding="utf-8")
    left_out = [option for one in packages for option in ("--no-emit-package", one.name)]
    return ["--constraint", constraints.name, *left_out]


def explained(error: ModelyardError, packages: Sequence[Preinstalled]) -> ModelyardError:
    """Say of a requirement without a solution what it met in the environment below."""
    met = [one.shown for one in packages if names(error.message, one.name)]
    if not met or not isinstance(error, EnvironmentUnsolvable):
        return error
    remedy = (
        f"{error.remedy}; {', '.join(met)} comes from the conda file, and may be asked for otherwise there"
    )
    return EnvironmentUnsolvable(error.message, place=error.place, remedy=remedy)


def _write_wheel(package: Preinstalled, folder: Path) -> Path:
    stem = f"{package.name.replace('-', '_')}-{package.version}"
    path = folder / f"{stem}-{_TAG}.whl"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {package.name}",
        f"Version: {package.version}",
        *(f"Provides-Extra: {extra}" for extra in package.extras),
        *(f"Requires-Dist: {line}" for line in package.requires),
    ]
    files = {
        "METADATA": "\n".join(metadata) + "\n",
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: modelyard\nRoot-Is-Purelib: true\nTag: {_TAG}\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(f"{stem}.dist-info/{name}", text)
    return path
