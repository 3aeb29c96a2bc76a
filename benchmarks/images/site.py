"""What both sides build from and push to: wheels on loopback, a registry, a daemon, a base, a project."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import attrs

from plugins.registry.tests.distribution.real import RealRegistry, connect, running
from tests.testbed.docker_daemon import own_daemon
from tests.testbed.machine_base import MachineBase, machine_base

ROOT = Path(__file__).resolve().parents[2]
BASE = "base/machine"
REQUIREMENTS = "pandas"
"""With what the server needs, about 230 MB once installed."""


@attrs.frozen
class Site:
    """The folder, and the addresses of the package index, the registry and the daemon."""

    folder: Path
    index: str
    lock: Path
    """Hashed pins of the environment, the server's own packages among them."""
    runtime: Path
    """The runtime's wheel."""
    registry: str
    daemon: str
    model: Path
    base: MachineBase

    def project(self, name: str) -> Path:
        """Give a fresh copy of the example with the large model."""
        folder = self.folder / name
        shutil.copytree(
            ROOT / "examples" / "digits", folder, ignore=shutil.ignore_patterns("model", "__pycache__")
        )
        (folder / "model").mkdir()
        os.link(self.model, folder / "model" / "digits.joblib")
        (folder / "sample.json").write_text("{}")  # training would write one; no replica starts here
        (folder / "requirements.txt").write_text(f"{REQUIREMENTS}\n")
        return folder


@contextlib.contextmanager
def site(folder: Path, *, model_bytes: int) -> Iterator[Site]:
    """Start everything; nothing of it is measured."""
    model = folder / "model.bin"
    with model.open("wb") as file:
        for start in range(0, model_bytes, 1 << 20):
            file.write(os.urandom(min(1 << 20, model_bytes - start)))
    (runtime,) = (ROOT / "engine/src/modelyard/_bundled").glob("*.whl")
    lock, wheels = _download(folder, runtime)
    base = machine_base(folder)
    with _served(wheels) as address, running(folder / "registry") as real, own_daemon() as daemon:
        _push_base(base, real)
        yield Site(folder, address, lock, runtime, real.host, daemon.address, model, base)


def _push_base(base: MachineBase, real: RealRegistry) -> None:
    import asyncio

    asyncio.run(base.push(connect(real), repository=BASE))


def _download(folder: Path, runtime: Path) -> tuple[Path, Path]:
    lock, wheels = folder / "lock.txt", folder / "wheels"
    wanted = folder / "wanted.in"
    wanted.write_text(f"{REQUIREMENTS}\nmodelyard-runtime[serve] @ {runtime.as_uri()}\n")
    uv = [str(ROOT / ".venv/bin/uv"), "pip", "compile", str(wanted), "--quiet", "--generate-hashes"]
    subprocess.run([*uv, "--no-annotate", "--no-header", "-o", str(lock)], check=True)
    kept, dropping = [], False
    for line in lock.read_text().splitlines():
        dropping = line.startswith("modelyard-runtime") or (dropping and line.startswith(" "))
        kept += [] if dropping else [line]
    lock.write_text("\n".join(kept) + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--require-hashes", "-r", str(lock), "-d", str(wheels)], check=True)
    subprocess.run([*pip, "pip", "-d", str(folder / "pip")], check=True)
    _list_as_index(wheels)
    return lock, wheels


def _list_as_index(wheels: Path) -> None:
    """Make a folder of wheels a package index that tells their metadata apart, as real ones do."""
    for wheel in sorted(wheels.glob("*.whl")):
        name = re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
        folder = wheels / "simple" / name
        folder.mkdir(parents=True, exist_ok=True)
        wheel.rename(folder / wheel.name)
        with zipfile.ZipFile(folder / wheel.name) as archive:
            (stored,) = [
                one
                for one in archive.namelist()
                if one.endswith(".dist-info/METADATA") and one.count("/") == 1
            ]
            metadata = archive.read(stored)
        (folder / f"{wheel.name}.metadata").write_bytes(metadata)
        told = f"sha256={hashlib.sha256(metadata).hexdigest()}"
        digest = hashlib.sha256((folder / wheel.name).read_bytes()).hexdigest()
        link = f'<a href="{wheel.name}#sha256={digest}" data-core-metadata="{told}">{wheel.name}</a>'
        (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
        finally:
            server.shutdown()
