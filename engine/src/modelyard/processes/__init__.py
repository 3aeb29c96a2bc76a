"""Processes and files of this machine: the one room that imports `subprocess`.

Starting, finding again and ending processes by an identity that survives a reused pid; locks
between processes; atomic writes; the engine's folders. Decides nothing about services.
May import `api` and, for `start_ticks`, the runtime's contract.
"""

from modelyard.processes.detached import (
    ProcessRef,
    alive,
    find_process,
    kill_session,
    signal_process,
    spawn_detached,
    stop_process,
)
from modelyard.processes.files import disk_errors, free_bytes, resident_bytes, write_atomic
from modelyard.processes.home import Home, find_home
from modelyard.processes.locks import FileLock
from modelyard.processes.running import Completed, run, run_quickly
from modelyard.processes.scratch import scratch

__all__ = [
    "Completed",
    "FileLock",
    "Home",
    "ProcessRef",
    "alive",
    "disk_errors",
    "find_home",
    "find_process",
    "free_bytes",
    "kill_session",
    "resident_bytes",
    "run",
    "run_quickly",
    "scratch",
    "signal_process",
    "spawn_detached",
    "stop_process",
    "write_atomic",
]
