"""An environment for every peer, made once from its pins in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDER_OF_OURS = "env-ours"
UV = ROOT / ".venv" / "bin" / "uv"


def cache() -> Path:
    """Return where environments, logs and raw results are kept; nothing of it is in the repository."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "modelyard" / "bench-runtime"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def python(name: str) -> Path:
    """Return the interpreter of environment `name`, made anew where its pins have changed."""
    return _made(f"env-{name}", HERE / "requirements" / f"{name}.txt")


def ours() -> Path:
    """Return the interpreter of our own server's environment: this checkout's runtime on bare pyvoy's pins."""
    found = _made(FOLDER_OF_OURS, HERE / "requirements" / "pyvoy.txt")
    _uv("pip", "install", "--python", str(found), "--no-deps", "--reinstall", str(ROOT / "runtime"))
    return found


def _made(name: str, pins: Path) -> Path:
    folder = cache() / name
    stamp, wanted = folder / "pins", hashlib.sha256(pins.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making {name}", flush=True)
        _uv("venv", "--clear", "--python", sys.executable, str(folder))
        _uv("pip", "install", "--python", str(folder), "-r", str(pins))
        stamp.write_text(wanted)
    return folder / "bin" / "python"


def _uv(*arguments: str) -> None:
    done = subprocess.run([UV, *arguments, "--quiet"], check=False)
    if done.returncode:
        raise SystemExit(f"uv {' '.join(arguments)}: failed")
