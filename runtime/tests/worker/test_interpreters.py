"""The worker runs under the user's own Python, 3.8 and newer, with no package at all."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import modelyard_runtime.worker
import pytest

WORKER = Path(modelyard_runtime.worker.__file__).parent
PROGRAM = Path(__file__).with_name("oldest_and_newest.py")
OLDEST = (3, 8)


def interpreters() -> dict[tuple[int, int], str]:
    """Return the Pythons on this machine that a user could ask for, by version."""
    found = {sys.version_info[:2]: sys.executable}
    for minor in range(OLDEST[1], 20):
        path = shutil.which(f"python3.{minor}")
        if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            found.setdefault((3, minor), path)
    pyenv = shutil.which("pyenv")
    root = (
        subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout.strip()
        if pyenv
        else ""
    )
    for path in sorted(Path(root, "versions").glob("*/bin/python")) if root else ():
        version = re.match(r"(\d+)\.(\d+)\.", path.parents[1].name)
        if version and (number := (int(version[1]), int(version[2]))) >= OLDEST:
            found.setdefault(number, str(path))
    return found


@pytest.mark.parametrize("which", [min, max], ids=["oldest", "newest"])
def test_the_worker_serves_under_it(which: object):
    found = interpreters()
    python = found[which(found)]  # type: ignore[operator]  # min or max
    ran = subprocess.run(
        [python, "-I", str(PROGRAM), str(WORKER)], capture_output=True, text=True, timeout=50, check=False
    )
    assert ran.stdout.strip().endswith("fine"), f"{python}\n{ran.stderr}"
