"""Processes that outlive the engine, and how to know them again.

A pid alone may name somebody else tomorrow; with the start time beside it, it never does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
from modelyard_runtime.contract import start_ticks

from modelyard.api import SystemError_, Unavailable

_POLL_SECONDS = 0.02
_KILL_WAIT_SECONDS = 10.0
"""A process that SIGKILL does not end in this time hangs in the kernel."""


@attrs.frozen
class ProcessRef:
    """One process: its pid and when it started. `start_ticks` 0 = the system does not tell."""

    pid: int
    start_ticks: int


def spawn_detached(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> ProcessRef:
    """Start a process in a session of its own, its output appended to `log`; it outlives this one.

    It is reaped when it dies while this process is still its parent.
    """
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SystemError_(
            f"cannot write the log of {argv[0]}: {error.strerror}",
            place=str(log),
            remedy="make the folder writable",
        ) from error
    try:
        child = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            close_fds=True,
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(
            f"cannot start {argv[0]}: {error.strerror}",
            place=str(cwd),
            remedy="check that the program and the folder exist",
        ) from error
    finally:
        os.close(output)
    # The child cannot be reaped before the thread below waits for it, so its ticks are its own.
    ref = ProcessRef(pid=child.pid, start_ticks=start_ticks(child.pid))
    threading.Thread(target=child.wait, name=f"reap-{child.pid}", daemon=True).start()
    return ref


def alive(ref: ProcessRef) -> bool:
    """Say whether this very process still runs; a zombie does not."""
    if not ref.start_ticks:
        return _exists(ref.pid)
    return start_ticks(ref.pid) == ref.start_ticks and not _is_zombie(ref.pid)


def signal_process(ref: ProcessRef, sig: signal.Signals) -> bool:
    """Send a signal to this very process; False = it is gone."""
    if not hasattr(os, "pidfd_open"):
        return alive(ref) and _try_kill(ref.pid, sig)
    try:
        handle = os.pidfd_open(ref.pid)
    except ProcessLookupError:
        return False
    try:
        # The handle pins the process: if it is alive now, nobody else can get the signal.
        if not alive(ref):
            return False
        signal.pidfd_send_signal(handle, sig)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


async def stop_process(ref: ProcessRef, *, grace_seconds: float) -> bool:
    """End a process: SIGTERM, then SIGKILL once the grace is over. False = it had to be killed."""
    if not signal_process(ref, signal.SIGTERM) or await _gone(ref, within_seconds=grace_seconds):
        return True
    signal_process(ref, signal.SIGKILL)
    if not await _gone(ref, within_seconds=_KILL_WAIT_SECONDS):
        raise SystemError_(
            f"process {ref.pid} survived SIGKILL for {_KILL_WAIT_SECONDS:.0f} s",
            remedy="a device or a file system it waits for hangs; look at `dmesg`",
        )
    return False


def kill_session(ref: ProcessRef) -> int:
    """Kill what is left of the session this process led, itself included; returns how many were told."""
    if start_ticks(ref.pid) not in {0, ref.start_ticks}:
        return 0  # somebody else got the pid: that session is not ours
    return sum(_try_kill(pid, signal.SIGKILL) for pid in _session_members(ref.pid))


async def _gone(ref: ProcessRef, *, within_seconds: float) -> bool:
    deadline = time.monotonic() + within_seconds
    while alive(ref):
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


def _session_members(leader: int) -> list[int]:
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat_fields(stat)
        if len(fields) > _SESSION and fields[_SESSION] == str(leader) and fields[_STATE] not in "ZX":
            members.append(int(stat.parent.name))
    return members


_STATE, _SESSION = 0, 3
"""Places in /proc/PID/stat, counted after the command's closing bracket."""


def _is_zombie(pid: int) -> bool:
    fields = _stat_fields(Path(f"/proc/{pid}/stat"))
    return not fields or fields[_STATE] in "ZX"


def _stat_fields(stat: Path) -> list[str]:
    try:
        return stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _exists(pid: int) -> bool:
    return _try_kill(pid, 0)


def _try_kill(pid: int, sig: int) -> bool:
    try:
        os.kill(pid, sig)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def find_process(argument: str) -> ProcessRef | None:
    """Find the session leader started with exactly this argument, by whomever; None without /proc.

    Finds a child whose starter died before it could write the pid down.
    """
    wanted = os.fsencode(argument)
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        pid = int(cmdline.parent.name)
        try:
            arguments = cmdline.read_bytes().split(b"\0")
        except OSError:
            continue
        fields = _stat_fields(cmdline.with_name("stat")) if wanted in arguments else []
        if len(fields) > _SESSION and fields[_SESSION] == str(pid) and pid != os.getpid():
            return ProcessRef(pid=pid, start_ticks=start_ticks(pid))
    return None
