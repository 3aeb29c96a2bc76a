"""Programs run to their end."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest
from modelyard.api import Unavailable
from modelyard.processes import run
from modelyard.processes.running import LINE_LIMIT_BYTES, TAIL_LINES


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_lines_arrive_one_by_one_and_the_status_is_told():
    seen: list[str] = []
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
    done = asyncio.run(run(python(code), timeout_seconds=20, on_line=seen.append))
    assert (done.status, done.output_tail, seen) == (3, "out\nerr", ["out", "err"])


def test_the_tail_keeps_only_the_last_lines():
    done = asyncio.run(run(python("for i in range(1000): print(i)"), timeout_seconds=20))
    assert done.output_tail.splitlines() == [str(i) for i in range(1000 - TAIL_LINES, 1000)]


def test_a_line_without_end_is_cut_and_broken_text_is_read():
    code = f"import sys; sys.stdout.buffer.write(b'\\xff' + b'x' * {3 * LINE_LIMIT_BYTES})"
    done = asyncio.run(run(python(code), timeout_seconds=20))
    assert max(map(len, done.output_tail.splitlines())) <= LINE_LIMIT_BYTES
    assert done.output_tail.replace("\n", "") == "\ufffd" + "x" * 3 * LINE_LIMIT_BYTES


def test_the_folder_and_the_environment_are_as_given(tmp_path: Path):
    code = "import os; print(os.getcwd(), os.environ['COLOUR'], 'HOME' in os.environ)"
    done = asyncio.run(run(python(code), cwd=tmp_path, env={"COLOUR": "red"}, timeout_seconds=20))
    assert done.output_tail == f"{tmp_path} red False"


def test_past_its_time_it_is_killed_with_its_children(tmp_path: Path):
    mark = tmp_path / "mark"
    child = f"import time, pathlib; time.sleep(1.5); pathlib.Path({str(mark)!r}).touch()"
    call = f"subprocess.run([sys.executable, '-c', {child!r}])"
    code = f"import subprocess, sys; print('busy', flush=True); {call}"
    started = time.monotonic()
    with pytest.raises(Unavailable, match=r"did not finish in 0\.7 s; the last it said: busy"):
        asyncio.run(run(python(code), timeout_seconds=0.7))
    assert time.monotonic() - started < 1.4
    while time.monotonic() - started < 2.5:  # past the moment at which the child would have marked
        time.sleep(0.1)
    assert not mark.exists()


def test_cancelling_kills_it(tmp_path: Path):
    pid_file = tmp_path / "pid"

    async def cancel_when_up() -> None:
        code = "import os, time, pathlib; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)"
        task = asyncio.create_task(run(python(code), cwd=tmp_path, timeout_seconds=60))
        async with asyncio.timeout(20):
            while not (pid_file.exists() and pid_file.read_text()):  # noqa: ASYNC110  a file has no event
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_when_up())
    assert not Path(f"/proc/{pid_file.read_text()}").exists()


def test_a_program_that_is_missing_is_named():
    with pytest.raises(Unavailable, match="cannot start /no/such/program"):
        asyncio.run(run(["/no/such/program"], timeout_seconds=5))
