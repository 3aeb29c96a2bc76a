"""KServe's own clients, unchanged, in an environment of their own: kserve brings half of the registry along."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "kserve-requirements.txt"
SCRIPT = "def init(): pass\ndef infer(inputs): return {'y': inputs['x'] * 2}\n"


def kserve_python() -> Path:
    """Return the interpreter that has kserve; skips where it cannot be installed, but not in CI."""
    try:
        return made()
    except (OSError, subprocess.SubprocessError) as error:
        reason = f"kserve could not be installed: {getattr(error, 'stderr', '') or error}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def made() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    caches = base / "modelyard" / "test-environments"
    caches.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = caches / f"kserve-{key}"
    with (caches / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test workers make it once
        if not (folder / "complete").exists():
            install(folder)
            (folder / "complete").touch()
    return folder / "bin" / "python"


def install(folder: Path) -> None:
    beside = HERE.parents[2] / ".venv" / "bin" / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise FileNotFoundError("uv is neither in .venv nor on PATH; run `make .venv/ready`")
    shutil.rmtree(folder, ignore_errors=True)
    for argv in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(folder), "-r", str(REQUIREMENTS)],
    ):
        subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_kserves_rest_and_grpc_clients_get_their_answers(replica: Any):
    python = kserve_python()
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    replica(SCRIPT, port=port).ready()
    done = subprocess.run(
        [python, HERE / "kserve_client.py", str(port)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    doubled = [[2.0, 4.0], [6.0, 8.0]]
    expected = {
        "live": True,
        "ready": True,
        "model_ready": True,
        "yFalse": doubled,
        "yTrue": doubled,
        "id": "9",
    }
    assert json.loads(done.stdout) == {"rest": expected, "grpc": expected}
