"""The real v1 server, installed once from the package registry into an environment of its own."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).with_name("v1-requirements.txt")
_CHECKOUT = Path(__file__).parents[3]


@cache
def v1_python() -> Path:
    """Return the interpreter that has the real v1 server; skips where it cannot be installed.

    On a CI machine (`CI` is set) a failed install is a failure, so that the comparison never fades away unseen.
    """
    try:
        return _made()
    except (OSError, subprocess.SubprocessError) as error:
        reason = f"the v1 server could not be installed: {getattr(error, 'stderr', '') or error}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def _made() -> Path:
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    caches = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelyard" / "test-environments"
    )
    caches.mkdir(parents=True, exist_ok=True)
    folder = caches / f"v1-server-{key}"
    with (caches / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test workers make it once
        if not (folder / "complete").exists():
            _install(folder)
            (folder / "complete").touch()
    return folder / "bin" / "python"


def _install(folder: Path) -> None:
    uv = _uv()
    shutil.rmtree(folder, ignore_errors=True)
    for argv in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(folder), "-r", str(REQUIREMENTS)],
    ):
        subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300)


def _uv() -> str:
    beside = _CHECKOUT / ".venv" / "bin" / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise FileNotFoundError("uv is neither in .venv nor on PATH; run `make .venv/ready`")
    return found
