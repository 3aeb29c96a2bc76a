"""Locks between processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from modelyard.api import Conflict
from modelyard.processes import FileLock


def test_a_second_taker_is_told_who_holds_the_lock(tmp_path: Path):
    path = tmp_path / "lock"
    with (
        FileLock(path),
        pytest.raises(Conflict, match=f"process {os.getpid()} has held"),
        FileLock(path, timeout_seconds=0.1),
    ):
        pass


def test_it_can_be_taken_again_once_let_go(tmp_path: Path):
    lock = FileLock(tmp_path / "lock", timeout_seconds=1)
    for _ in range(3):
        with lock:
            assert lock.holder() == os.getpid()


def test_only_one_task_is_inside_at_a_time(tmp_path: Path):
    inside = 0
    most = 0

    async def enter() -> None:
        nonlocal inside, most
        async with FileLock(tmp_path / "lock", timeout_seconds=20):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    async def many() -> None:
        await asyncio.gather(*(enter() for _ in range(5)))

    asyncio.run(many())
    assert most == 1


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path):
    path = tmp_path / "lock"
    code = (
        "import sys, time; from pathlib import Path; from modelyard.processes import FileLock\n"
        "with FileLock(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(Conflict, match=f"process {holder.pid}"), FileLock(path, timeout_seconds=0):
            pass
        holder.send_signal(signal.SIGKILL)
    with FileLock(path, timeout_seconds=5):
        pass


def test_a_removed_lock_file_does_not_let_two_in(tmp_path: Path):
    path = tmp_path / "lock"
    entered = threading.Event()

    def wait_for_it() -> None:
        with FileLock(path, timeout_seconds=20):
            entered.set()

    with FileLock(path):
        path.unlink()
        with FileLock(path):  # a new file, a new lock
            waiter = threading.Thread(target=wait_for_it)
            waiter.start()
            assert not entered.wait(0.2)
    assert entered.wait(20)
    waiter.join()
