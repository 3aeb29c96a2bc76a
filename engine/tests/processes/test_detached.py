"""Processes that outlive the engine."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from modelyard.api import SystemError_, Unavailable
from modelyard.processes import (
    ProcessRef,
    alive,
    kill_session,
    signal_process,
    spawn_detached,
    stop_process,
)

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[[str], ProcessRef]]:
    started: list[ProcessRef] = []

    def start(code: str) -> ProcessRef:
        log = tmp_path / "log"
        ref = spawn_detached([sys.executable, "-c", code], cwd=tmp_path, env={"COLOUR": "blue"}, log=log)
        started.append(ref)
        return ref

    yield start
    for ref in started:
        kill_session(ref)


def test_output_is_appended_to_a_private_log(spawn: Callable[[str], ProcessRef], tmp_path: Path):
    log = tmp_path / "log"
    spawn("print('one')")
    until(lambda: log.read_text() == "one\n")
    spawn("import sys; print('two', file=sys.stderr)")
    until(lambda: log.read_text() == "one\ntwo\n")
    assert log.stat().st_mode & 0o777 == 0o600


def test_the_process_leads_its_own_session_and_sees_only_the_given_environment(
    spawn: Callable[[str], ProcessRef], tmp_path: Path
):
    ref = spawn("import os; print(os.getsid(0), os.environ.get('COLOUR'), 'HOME' in os.environ)")
    until(lambda: (tmp_path / "log").read_text() == f"{ref.pid} blue False\n")


def test_a_child_that_ended_is_reaped_and_not_alive(spawn: Callable[[str], ProcessRef]):
    ref = spawn("pass")
    until(lambda: not Path(f"/proc/{ref.pid}").exists())
    assert not alive(ref)


def test_a_zombie_is_not_alive(tmp_path: Path):
    child = subprocess.Popen([sys.executable, "-c", "pass"], cwd=tmp_path)
    from modelyard_runtime.contract import start_ticks

    ref = ProcessRef(pid=child.pid, start_ticks=start_ticks(child.pid))
    until(lambda: not alive(ref))
    assert start_ticks(child.pid) == ref.start_ticks
    child.wait()


def test_a_reused_pid_is_neither_alive_nor_signalled_nor_killed(spawn: Callable[[str], ProcessRef]):
    ref = spawn(SLEEP)
    stranger = attrs.evolve(ref, start_ticks=ref.start_ticks - 1)
    assert not alive(stranger)
    assert not signal_process(stranger, signal.SIGKILL)
    assert kill_session(stranger) == 0
    assert alive(ref)


def test_stopping_ends_a_process_that_obeys(spawn: Callable[[str], ProcessRef]):
    ref = spawn(SLEEP)
    assert asyncio.run(stop_process(ref, grace_seconds=10))
    assert not alive(ref)


def test_stopping_kills_a_process_that_does_not_listen(spawn: Callable[[str], ProcessRef], tmp_path: Path):
    ref = spawn(DEAF)
    until(lambda: "up" in (tmp_path / "log").read_text())
    assert not asyncio.run(stop_process(ref, grace_seconds=0.1))
    assert not alive(ref)


def test_stopping_what_is_gone_is_fine(spawn: Callable[[str], ProcessRef]):
    ref = spawn("pass")
    until(lambda: not alive(ref))
    assert asyncio.run(stop_process(ref, grace_seconds=5))
    assert not signal_process(ref, signal.SIGTERM)


def test_killing_a_session_ends_children_of_a_dead_leader(spawn: Callable[[str], ProcessRef], tmp_path: Path):
    ref = spawn(
        f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid, flush=True)"
    )
    log = tmp_path / "log"
    until(lambda: "up" in log.read_text() and not alive(ref))
    child = int(log.read_text().split()[0])
    assert kill_session(ref) == 1
    until(lambda: not _running(child))


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_it_outlives_whoever_started_it(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from modelyard.processes import spawn_detached\n"
        f"r = spawn_detached([sys.executable, '-c', {SLEEP!r}], cwd=Path('.'), env={{}}, log=Path('log'))\n"
        "print(r.pid, r.start_ticks)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    pid, ticks = map(int, out.split())
    ref = ProcessRef(pid=pid, start_ticks=ticks)
    assert alive(ref)
    assert signal_process(ref, signal.SIGKILL)
    until(lambda: not alive(ref))


def test_a_program_that_is_missing_is_named(tmp_path: Path):
    with pytest.raises(Unavailable, match="/no/such/program"):
        spawn_detached(["/no/such/program"], cwd=tmp_path, env={}, log=tmp_path / "log")


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path):
    with pytest.raises(SystemError_, match="gone/log"):
        spawn_detached([sys.executable], cwd=tmp_path, env={}, log=tmp_path / "gone" / "log")


def test_without_start_times_a_process_is_known_by_its_pid(spawn: Callable[[str], ProcessRef]):
    ref = attrs.evolve(spawn(SLEEP), start_ticks=0)
    assert alive(ref)
    os.kill(ref.pid, signal.SIGKILL)
    until(lambda: not alive(ref))
