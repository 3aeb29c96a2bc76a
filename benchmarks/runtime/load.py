"""Load from the other core: wrk for REST, h2load for gRPC, one thread, one request at a time each connection."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from asking import Way
from measuring import cpu_us, machine_us, tree

SCRIPT = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{{"requests":%d,"us":%d,"errors":%d,"p50":%d,"p99":%d}}\\n', summary.requests,
    summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""
HEADERS = ("-H", "content-type: application/grpc", "-H", "te: trailers")


@dataclass(frozen=True)
class Load:
    """What one load showed."""

    rate: float
    """Answers a second."""
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_us: float
    """Of the server's process tree, for one answer."""
    others: float
    """Cores that everything else on the machine used meanwhile."""


def load(way: Way, port: int, *, root: int, connections: int, seconds: float, length: int) -> Load:
    """Load the server whose root process is `root`; `length` is that of one right answer."""
    pids = tree(root)
    before, machine, started = cpu_us(pids), machine_us(), time.perf_counter()
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="my-load-") as name:
        run = _h2load if way.protocol == "gRPC" else _wrk
        done = run(way, port, connections, seconds, Path(name))
    if way.protocol == "gRPC" and done.data < done.requests * (length + 5) * 0.99:
        done.errors += done.requests - done.data // (length + 5)
    used, wall = cpu_us(pids) - before, time.perf_counter() - started
    return Load(
        rate=done.requests / done.seconds,
        p50_ms=done.p50_ms,
        p99_ms=done.p99_ms,
        errors=done.errors,
        cpu_us=used / max(1, done.requests),
        others=max(0.0, (machine_us() - machine - used) / 1e6 / wall - done.own_cores),
    )


@dataclass
class _Done:
    requests: int
    seconds: float
    errors: int
    p50_ms: float
    p99_ms: float
    own_cores: float
    data: int = 0


def _wrk(way: Way, port: int, connections: int, seconds: float, folder: Path) -> _Done:
    (folder / "body").write_bytes(way.body)
    (folder / "script.lua").write_text(SCRIPT.format(body=folder / "body"))
    argv = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds:g}s",
        "--timeout",
        "20s",
        "-s",
        str(folder / "script.lua"),
    ]
    text, own = _run([*argv, f"http://127.0.0.1:{port}{way.path}"])
    found = json.loads(text.strip().splitlines()[-1])
    return _Done(
        requests=found["requests"] - found["errors"],
        seconds=found["us"] / 1e6,
        errors=found["errors"],
        p50_ms=found["p50"] / 1e3,
        p99_ms=found["p99"] / 1e3,
        own_cores=own,
    )


def _h2load(way: Way, port: int, connections: int, seconds: float, folder: Path) -> _Done:
    body = b"\0" + len(way.body).to_bytes(4, "big") + way.body
    (folder / "body").write_bytes(body)
    log = folder / "log"
    argv = [
        "h2load",
        "-t1",
        f"-c{connections}",
        "-m1",
        "-D",
        f"{seconds:g}",
        "-d",
        str(folder / "body"),
        *HEADERS,
    ]
    text, own = _run([*argv, f"--log-file={log}", f"http://127.0.0.1:{port}{way.path}"])
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", text)
    data = re.search(r"\((\d+)\) data", text)
    if counts is None or data is None:
        raise SystemExit(text)
    times = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines()) or [0]
    return _Done(
        requests=int(counts[2]),
        seconds=seconds,
        errors=int(counts[3]) + int(counts[4]),
        p50_ms=times[len(times) // 2] / 1e3,
        p99_ms=times[len(times) * 99 // 100] / 1e3,
        own_cores=own,
        data=int(data[1]),
    )


def _run(argv: list[str]) -> tuple[str, float]:
    started = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = process.stdout.read() if process.stdout else ""
    usage = _reap(process)
    if process.returncode:
        raise SystemExit(f"{argv[0]}: {text}")
    return text, usage / (time.perf_counter() - started)


def _reap(process: subprocess.Popen[str]) -> float:
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime
