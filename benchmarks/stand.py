"""The stand that every benchmark uses: an engine with a home of its own on a free port."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelyard.client import Client
from modelyard.processes import find_home

ROOT = Path(__file__).resolve().parents[1]
ENGINE = Path(sys.executable).parent / "engine"

IDENTITY = "import json\n\ndef init():\n    pass\n\ndef run(data):\n    return json.loads(data)\n"


class Stand:
    """A running engine and the folder of its services."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.environment = {**os.environ, "MODELYARD_HOME": str(folder / "home"), "NO_COLOR": "1"}
        (folder / "home").mkdir()
        (folder / "home" / "settings.yaml").write_text(f"router: {{port: {self.port}}}\n")

    @property
    def client(self) -> Client:
        return Client(find_home(self.environment))

    def cli(self, *arguments: str | Path) -> str:
        argv = [str(ENGINE), *(str(argument) for argument in arguments)]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env=self.environment)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
        return done.stdout

    def service(self, name: str, *, score: str = IDENTITY, more: str = "") -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "score.py").write_text(score)
        (folder / "engine.yaml").write_text(f"name: {name}\ncode: {{entry: score.py}}\n{more}")
        return folder

    def socket_of(self, name: str) -> str:
        (replica,) = self.client.service(name).replicas
        return replica.address.removeprefix("unix:")


@contextlib.contextmanager
def stand() -> Iterator[Stand]:
    """Start an engine; stop it and remove its folder at the end."""
    folder = Path(tempfile.mkdtemp(prefix="my-bench-", dir="/tmp"))
    bench = Stand(folder)
    try:
        bench.cli("up")
        yield bench
    finally:
        bench.cli("down")
        shutil.rmtree(folder, ignore_errors=True)


def spread(values: Sequence[float]) -> str:
    """Median with the least and the greatest of the runs."""
    return f"{statistics.median(values):.3g} [{min(values):.3g} .. {max(values):.3g}]"


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def keep(name: str, result: object) -> None:
    """Write the raw result beside the benchmarks; git ignores it."""
    folder = ROOT / "benchmarks" / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(result, indent=2))


def _free_port() -> int:
    # Below the range of outgoing connections: none of those takes it meanwhile. Not the seeded generator:
    # tests that run side by side would all get the same port.
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
