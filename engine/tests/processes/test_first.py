"""A container's first process: signals reach the program, orphans are collected, its end is the program's."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from modelyard.processes import first

TELLS = "import signal, sys\nsignal.signal({0}, lambda *_: sys.exit(7))\nprint('ready', flush=True)\nsignal.pause()\n"
# the middle process ends before its child, which nobody but the first process can collect then
ORPHAN = """
import os, sys, time
if os.fork() == 0:
    if os.fork() == 0:
        os._exit(0)
    os._exit(0)
os.wait()
print("ready", flush=True)
time.sleep(60)
"""
ADOPTING = "import ctypes, sys; ctypes.CDLL(None).prctl(36, 1); sys.argv = sys.argv[1:]; exec(open(sys.argv[0]).read())"
"""PR_SET_CHILD_SUBREAPER: orphans come to it, as to a container's first process."""


def start(program: str, *, adopting: bool = False) -> subprocess.Popen[str]:
    before = ["-c", ADOPTING] if adopting else []
    command = [sys.executable, "-I", "-S", *before, str(first.__file__), sys.executable, "-I", "-c", program]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    assert process.stdout.readline() == "ready\n"


@pytest.fixture
def run():
    started: list[subprocess.Popen[str]] = []

    def once(program: str, **options: bool) -> subprocess.Popen[str]:
        started.append(start(program, **options))
        return started[-1]

    yield once
    for process in started:
        process.kill()
        process.communicate()


Run = Callable[..., subprocess.Popen[str]]


@pytest.mark.parametrize(
    ("program", "code"),
    [("pass", 0), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_it_ends_as_its_program_does(run: Run, program: str, code: int):
    assert run(program).wait(20) == code


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_the_program(run: Run, sig: signal.Signals):
    process = run(TELLS.format(int(sig)))
    ready(process)
    process.send_signal(sig)
    assert process.wait(20) == 7


def test_a_program_starts_with_no_signal_held_back(run: Run):
    told = run("import signal; print(len(signal.pthread_sigmask(signal.SIG_BLOCK, ())))")
    assert told.communicate(timeout=20)[0] == "0\n"


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, where a process may adopt orphans")
def test_orphans_are_collected(run: Run):
    process = run(ORPHAN, adopting=True)
    ready(process)
    deadline = time.monotonic() + 20
    while len(children(process.pid)) != 1:
        assert time.monotonic() < deadline, children(process.pid)
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
