"""Build hook: puts the runtime's wheel inside modelyard's own.

Replicas install it from there, so no package index ever needs to have it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BundleRuntime(BuildHookInterface):  # type: ignore[type-arg]
    """Builds `../runtime` into `src/modelyard/_bundled`; an sdist brings that wheel along."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run before the files are collected."""
        del version, build_data
        bundled = Path(self.root) / "src" / "modelyard" / "_bundled"
        source = Path(self.root).parent / "runtime"
        if (source / "pyproject.toml").is_file():
            build(source, bundled)
        elif not list(bundled.glob("modelyard_runtime-*.whl")):
            msg = f"no runtime beside {self.root} and no bundled wheel in it"
            raise FileNotFoundError(msg)


def build(source: Path, bundled: Path) -> None:
    """Build the runtime's wheel; byte-identical for identical sources. There is one at every moment."""
    from hatchling.builders.wheel import WheelBuilder

    bundled.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=bundled, prefix=".building-") as folder:
        (made,) = WheelBuilder(str(source)).build(directory=folder, versions=["standard"])
        wheel = Path(made).replace(bundled / Path(made).name)
    for old in bundled.glob("modelyard_runtime-*.whl"):
        if old != wheel:
            old.unlink()


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    build(here.parent / "runtime", here / "src" / "modelyard" / "_bundled")
