"""Distributions as an installer leaves them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
import uv

Install = Callable[..., dict[str, Distribution]]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Install wheels or folders of sources into an environment of their own; gives what is there, by name."""

    def once(*what: str | Path, editable: bool = False) -> dict[str, Distribution]:
        prefix = tmp_path / "installed"
        command = [
            uv.find_uv_bin(),
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--compile-bytecode",
        ]
        named = [part for one in what for part in (["-e", str(one)] if editable else [str(one)])]
        isolated = ["--no-build-isolation"] if editable else []
        subprocess.run(
            [*command, *isolated, "--prefix", prefix, "--python", sys.executable, *named], check=True
        )
        (site,) = prefix.glob("lib/python3*/site-packages")
        return {one.metadata["Name"]: one for one in distributions(path=[str(site)])}

    return once
