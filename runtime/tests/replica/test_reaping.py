"""Orphans that a first process inherits: taken in, but never the child whose status somebody else waits for."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import ctypes, os, subprocess, sys, time
from modelyard_runtime.replica.reaping import reap
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
reap(0)  # without a child at all
own = subprocess.Popen([sys.executable, "-c", "input(); raise SystemExit(7)"], stdin=subprocess.PIPE, text=True)
orphans = "import os\\nfor _ in range(20):\\n    if not os.fork(): os._exit(0)"
subprocess.run([sys.executable, "-c", orphans], check=True)

def until(true):
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, children()
        time.sleep(0.01)

def children():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(pid) for pid in file.read().split()]

def zombie(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"

before = len(children())
until(lambda: reap(own.pid) or children() == [own.pid])
own.communicate("\\n")
print(before, own.returncode)
own = subprocess.Popen(["true"])
until(lambda: zombie(own.pid))
reap(own.pid)
print(own.wait())
"""


def test_every_orphan_is_reaped_and_the_servers_status_is_left_to_who_waits_for_it():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=40
    )
    assert (done.stdout, done.returncode) == ("21 7\n0\n", 0), done.stderr
