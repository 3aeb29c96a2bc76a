"""A server under test: started on core 0, asked until it answers right, ended with all it started."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asking import Way, WrongAnswer
from environments import ROOT, cache
from measuring import tree
from servers import PROGRAMS, Server, Start

START_LIMIT_S = 60.0
STOP_GRACE_S = 3.0
POLL_S = 0.01
SERVER_CORE, LOAD_CORE = "0", {1}
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME")


class NotServing(Exception):
    """A server did not come up, or did not answer right."""


@dataclass
class Running:
    """One server that answers."""

    server: Server
    start: Start
    process: subprocess.Popen[bytes]
    cold_s: float
    """From spawn to its first right answer."""

    def port(self, way: Way) -> int:
        return self.server.port(way, self.start)

    def check(self, way: Way) -> int:
        """Check one answer; returns its length. Raises `NotServing`."""
        try:
            return way.ask(self.port(way), self.start.variant)
        except (OSError, WrongAnswer) as error:
            raise NotServing(f"{self.server.name}: {error}") from error

    @property
    def pids(self) -> list[int]:
        return tree(self.process.pid)


@contextlib.contextmanager
def running(server: Server, variant: str, *, ready: Way | None = None) -> Iterator[Running]:
    """Start a server and wait for its first right answer. Raises `NotServing`."""
    start = Start(variant, *_free_ports())
    argv = ["taskset", "-c", SERVER_CORE, *server.argv(start)]
    log = cache() / "logs" / f"{server.name.replace('/', '').replace(' ', '-')}-{variant}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as output:
        spawned = time.perf_counter()
        process = subprocess.Popen(
            argv,
            cwd=PROGRAMS,
            env=_environment(variant),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _await(process, server, start, ready or server.ways[0], log)
        yield Running(server, start, process, time.perf_counter() - spawned)
    finally:
        _stop(process)


def _environment(variant: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    mosec = {"MOSEC_TIMEOUT": "30000"}
    quiet = {"BENTOML_DO_NOT_TRACK": "True", "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
    # for the bare servers: the message classes that ours uses too
    path = {"PYTHONPATH": str(ROOT / "runtime" / "src"), "PYTHONDONTWRITEBYTECODE": ""}
    return {**kept, **threads, **mosec, **quiet, **path, "BENCH_VARIANT": variant}


def _await(process: subprocess.Popen[bytes], server: Server, start: Start, way: Way, log: Path) -> None:
    """Poll without harm to the server: connect first, ask only once it listens."""
    port, deadline = server.port(way, start), time.perf_counter() + START_LIMIT_S
    last: Exception | None = None
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
            if start.variant == "tensor":
                return
            way.ask(port, start.variant, timeout_s=0.5)
        except (OSError, WrongAnswer) as error:
            last = error
            time.sleep(POLL_S)
        else:
            return
    raise NotServing(f"{server.name} does not answer ({last}); the end of {log}:\n{log.read_text()[-1500:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it and everything it has started, also what has a session of its own by now."""
    pids = tree(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_GRACE_S)
    for pid in {*pids, *tree(os.getpid())} - {os.getpid()}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, 0):
            pass


def adopt_orphans() -> None:
    """Become the parent of what servers leave behind, so that `_stop` finds it (Linux)."""
    import ctypes

    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def stay_off_the_servers_core() -> None:
    os.sched_setaffinity(0, LOAD_CORE)


def _free_ports() -> tuple[int, int]:
    """Return two ports below the range of outgoing connections that nobody listens on."""
    found: list[int] = []
    while len(found) < 2:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found[0], found[1]
