"""A worker process may die in any way at any moment: it costs what it ran, and another takes its place."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from modelyard_runtime.scoring import processes
from modelyard_runtime.scoring.refusals import Interrupted, TimedOut, Unready
from modelyard_runtime.worker.failures import ScriptRaised

from runtime.tests.behaviour.replicas import alive
from runtime.tests.isolation.pools import Bench, Run

ENDS = """
import ctypes, os, signal, time
def init():
    pass
def run(data):
    if data == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if data == "segfault": ctypes.string_at(0)
    if data == "abort": os.abort()
    if data == "exit": os._exit(3)
    if data == "hang": time.sleep(1000)
    if data == "slow": time.sleep(0.5)
    if data == "spin":
        while True: pass
    return data
"""


async def fails(bench: Bench, how: str, words: str) -> None:
    with pytest.raises(ScriptRaised, match=words):
        await bench.score(how.encode())


@pytest.mark.parametrize(
    ("how", "words"),
    [("kill", "SIGKILL"), ("segfault", "SIGSEGV"), ("abort", "SIGABRT"), ("exit", "exit status 3")],
)
def test_a_worker_that_dies_costs_its_request_alone(pool: Run, how: str, words: str):
    async def scenario(bench: Bench) -> None:
        answers = await asyncio.gather(
            *(bench.submit(data) for data in (b"a", how.encode(), b"b", b"c")), return_exceptions=True
        )
        assert isinstance(answers[1], ScriptRaised)
        assert words in str(answers[1])
        assert [answers[index].body for index in (0, 2, 3)] == [b'"a"', b'"b"', b'"c"']

    pool(ENDS, scenario)


def test_a_dead_worker_is_not_ready_within_a_second_and_a_fresh_one_soon_is(pool: Run):
    async def scenario(bench: Bench) -> None:
        (pid,) = bench.pool.pids
        os.kill(pid, signal.SIGKILL)
        await bench.until(lambda: not bench.pool.ready, within_s=1)
        with pytest.raises(Unready):
            await bench.score()
        assert bench.pool.failure is None
        await bench.ready()
        assert bench.pool.pids != [pid]
        assert await bench.score(b"x") == b'"x"'

    pool(ENDS, scenario)


def test_with_several_workers_the_pool_stays_ready_when_one_dies(pool: Run):
    async def scenario(bench: Bench) -> None:
        killed = bench.pool.pids[0]
        os.kill(killed, signal.SIGKILL)
        await bench.until(lambda: killed not in bench.pool.pids, within_s=1)
        assert bench.pool.ready
        assert await bench.score(b"x") == b'"x"'
        await bench.until(lambda: len(bench.pool.pids) == 2)

    pool(ENDS, scenario, workers=2)


@pytest.mark.parametrize("how", [b"hang", b"spin"])
def test_what_runs_past_its_time_is_ended(pool: Run, how: bytes):
    async def scenario(bench: Bench) -> None:
        (pid,) = bench.pool.pids
        with pytest.raises(TimedOut) as raised:
            await bench.score(how, within_s=0.2)
        assert raised.value.begun
        assert await bench.score(b"x") == b'"x"' if bench.pool.ready else True
        await bench.until(lambda: pid not in bench.pool.pids and bench.pool.ready)
        assert not alive(pid)
        assert await bench.score(b"x") == b'"x"'

    pool(ENDS, scenario)


def test_what_waits_behind_a_timeout_is_answered_by_the_fresh_worker(pool: Run):
    async def scenario(bench: Bench) -> None:
        late = bench.submit(b"hang", within_s=0.2)
        behind = [bench.submit(b"x") for _ in range(5)]
        with pytest.raises(TimedOut):
            await late
        assert [reply.body for reply in await asyncio.gather(*behind)] == [b'"x"'] * 5

    pool(ENDS, scenario)


def test_the_processes_a_worker_started_go_with_it(pool: Run, folder: Path):
    async def scenario(bench: Bench) -> None:
        with pytest.raises(TimedOut):
            await bench.score(within_s=1.0)
        child = int((folder / "child").read_text())
        await bench.until(lambda: not alive(child))

    script = (
        "import subprocess, sys, time\ndef init(): pass\n"
        "def run(data):\n    p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\n"
        f"    open({str(folder / 'child')!r}, 'w').write(str(p.pid))\n    time.sleep(1000)\n"
    )
    pool(script, scenario)


def test_a_worker_dies_with_the_front_even_while_it_runs(folder: Path):
    import subprocess
    import sys

    (folder / "score.py").write_text(
        f"import os\ndef init():\n    open({str(folder / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "    while True: pass\ndef run(data): pass\n"
    )
    front = (
        "import asyncio, sys\n"
        "from modelyard_runtime.contract import StartContract\n"
        "from modelyard_runtime.scoring.processes import ProcessPool\n"
        "async def main():\n"
        f"    f = {str(folder)!r}\n"
        "    contract = StartContract(service='s', revision=1, replica='r', run_dir=f, log_dir=f, code_dir=f,\n"
        "        entry='score.py', isolation='process')\n"
        "    ProcessPool(contract, print).start()\n"
        "    await asyncio.sleep(100)\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", front])
    deadline = time.monotonic() + 10
    while not (folder / "pid").exists() or not (folder / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pid = int((folder / "pid").read_text())
    process.kill()
    process.wait()
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("body", "words", "exit_code"),
    [
        ("raise ValueError('no such file')", "no such file", 14),
        ("__import__('sys').exit(4)", "status 4", 15),
        ("__import__('os')._exit(4)", "exit status 4", 15),
        ("__import__('ctypes').string_at(0)", "SIGSEGV", 18),
        ("__import__('os').kill(__import__('os').getpid(), 9)", "SIGKILL", 17),
        ("__import__('time').sleep(1000)", "had not finished after 1 s", 16),
    ],
)
def test_a_first_start_that_fails_says_why_and_is_not_repeated(
    pool: Run, body: str, words: str, exit_code: int
):
    async def scenario(bench: Bench) -> None:
        await bench.until(lambda: bench.pool.failure is not None)
        failure = bench.pool.failure
        assert failure is not None
        assert words in failure.cause
        assert failure.remedy
        assert failure.exit_code == exit_code
        await bench.until(lambda: not bench.pool.pids)
        assert not bench.pool.ready

    script = f"def init():\n    {body}\ndef run(data): return 1\n"
    pool(script, scenario, wait=False, workers=2, startup_timeout_s=1.0 if "sleep" in body else 60.0)


def test_an_interpreter_that_is_not_there_is_a_failure_with_its_path(pool: Run):
    async def scenario(bench: Bench) -> None:
        assert bench.pool.failure is not None
        assert "/nowhere/python" in bench.pool.failure.cause

    pool("", scenario, wait=False, worker_python="/nowhere/python")


def test_a_worker_that_cannot_start_again_is_tried_ever_more_rarely(pool: Run, folder: Path):
    async def scenario(bench: Bench) -> None:
        (folder / "broken").touch()
        os.kill(bench.pool.pids[0], signal.SIGKILL)
        await asyncio.sleep(1.5)
        tries = len((folder / "tries").read_text())
        assert 2 <= tries <= 6
        (folder / "broken").unlink()
        await bench.ready()
        assert await bench.score() == b"1"

    script = (
        f"import os\nopen({str(folder / 'tries')!r}, 'a').write('x')\n"
        f"def init():\n    if os.path.exists({str(folder / 'broken')!r}): raise OSError('gone')\n"
        "def run(data): return 1\n"
    )
    pool(script, scenario, backoff_initial_s=0.2)


def test_a_stream_whose_worker_dies_ends_with_a_failure(pool: Run):
    async def scenario(bench: Bench) -> None:
        stream = await bench.submit()
        assert await anext(stream.chunks) == b"a"
        os.kill(bench.pool.pids[0], signal.SIGKILL)
        with pytest.raises(ScriptRaised, match="SIGKILL"):
            await anext(stream.chunks)

    script = "import time\ndef init(): pass\ndef run(d):\n    yield 'a'\n    time.sleep(100)\n    yield 'b'\n"
    pool(script, scenario)


def test_a_shared_worker_answers_the_neighbours_of_an_overdue_request_before_it_is_ended(pool: Run):
    async def scenario(bench: Bench) -> None:
        (pid,) = bench.pool.pids
        neighbours = [bench.submit(b"slow") for _ in range(2)]
        with pytest.raises(TimedOut):
            await bench.score(b"hang", within_s=0.2)
        assert [reply.body for reply in await asyncio.gather(*neighbours)] == [b'"slow"'] * 2
        await bench.until(lambda: not alive(pid), within_s=2)

    pool(ENDS, scenario, max_concurrent=3)


def test_a_worker_that_waits_for_neighbours_gets_no_new_request(pool: Run):
    async def scenario(bench: Bench) -> None:
        (pid,) = bench.pool.pids
        neighbour = bench.submit(b"hang")
        with pytest.raises(TimedOut):
            await bench.score(b"hang", within_s=0.2)
        assert not bench.pool.ready
        assert bench.pool.pids == [pid]
        with pytest.raises(Unready):
            await bench.score(b"x")
        assert not neighbour.done()
        neighbour.cancel()

    pool(ENDS, scenario, max_concurrent=3)


def test_a_neighbour_that_takes_too_long_is_told_to_try_again(pool: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(processes, "_NEIGHBOURS_S", 0.1)

    async def scenario(bench: Bench) -> None:
        neighbour = bench.submit(b"hang")
        with pytest.raises(TimedOut):
            await bench.score(b"hang", within_s=0.2)
        with pytest.raises(Interrupted, match="another request on it ran past its time"):
            await neighbour
        await bench.ready()
        assert await bench.score(b"x") == b'"x"'

    pool(ENDS, scenario, max_concurrent=2)


def test_a_stream_beside_an_overdue_request_is_cut_as_something_to_try_again(
    pool: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(processes, "_NEIGHBOURS_S", 0.1)

    async def scenario(bench: Bench) -> None:
        stream = await bench.submit(b"stream")
        assert await anext(stream.chunks) == b"a"
        with pytest.raises(TimedOut):
            await bench.score(b"hang", within_s=0.2)
        with pytest.raises(Interrupted):
            await anext(stream.chunks)

    script = (
        "import time\ndef init(): pass\n"
        "def run(data):\n    return pieces() if data == 'stream' else time.sleep(1000)\n"
        "def pieces():\n    yield 'a'\n    time.sleep(1000)\n"
    )
    pool(script, scenario, max_concurrent=2)


def test_who_shared_a_batch_with_an_overdue_request_is_told_to_try_again(
    pool: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(processes, "_NEIGHBOURS_S", 0.1)

    async def scenario(bench: Bench) -> None:
        first = bench.submit()  # while it runs the others gather
        late, mate = bench.submit(within_s=1.5), bench.submit()
        await first
        with pytest.raises(TimedOut):
            await late
        with pytest.raises(Interrupted):
            await mate

    script = (
        "import time\ndef init(): pass\ndef run(data): return run_batch([data])[0]\n"
        "def run_batch(items):\n    time.sleep(0.3 if len(items) == 1 else 1000)\n    return [1] * len(items)\n"
    )
    pool(script, scenario, batch=(2, 0.1))


def test_a_caller_in_a_hurry_costs_no_worker(pool: Run):
    async def scenario(bench: Bench) -> None:
        pids = bench.pool.pids
        with pytest.raises(TimedOut):
            await bench.score(b"slow", patience_s=0.1)
        assert await bench.score(b"x") == b'"x"'
        assert bench.pool.pids == pids

    pool(ENDS, scenario)


def test_what_a_caller_in_a_hurry_left_behind_is_ended_at_the_time_of_the_service(pool: Run):
    async def scenario(bench: Bench) -> None:
        (pid,) = bench.pool.pids
        with pytest.raises(TimedOut):
            await bench.score(b"hang", within_s=1.5, patience_s=0.1)
        assert alive(pid)
        await bench.until(lambda: not alive(pid), within_s=5)

    pool(ENDS, scenario)


def test_what_a_caller_who_has_left_ran_is_ended_at_the_time_of_the_service(pool: Run):
    async def scenario(bench: Bench) -> None:
        (pid,) = bench.pool.pids
        left = bench.submit(b"hang", within_s=0.3)
        await bench.until(lambda: bench.pool.running == 1)
        left.cancel()
        await bench.until(lambda: not alive(pid), within_s=5)

    pool(ENDS, scenario)


def test_a_client_that_leaves_the_queue_is_never_run(pool: Run):
    # the first runs for longer than it takes until who waits is looked at

    async def scenario(bench: Bench) -> None:
        first = bench.submit(b"slow")
        second = bench.submit(b"never")
        second.cancel()
        await first
        assert await bench.score(b"count") == b"2"

    script = (
        "import time\nruns = 0\ndef init(): pass\n"
        "def run(data):\n    global runs\n    runs += 1\n    time.sleep(0.4)\n    return runs\n"
    )
    pool(script, scenario)


def test_what_was_sent_ahead_and_then_withdrawn_is_never_run(pool: Run):
    async def scenario(bench: Bench) -> None:
        slow = bench.submit(b"slow")
        late = [bench.submit(b"late", within_s=0.2) for _ in range(3)]
        for answer in await asyncio.gather(*late, return_exceptions=True):
            assert isinstance(answer, TimedOut)
            assert not answer.begun
        assert (await slow).body == b"1"
        assert await bench.score(b"count") == b"2"
        assert bench.pool.running == bench.pool.queued == 0

    script = (
        "import time\nruns = 0\ndef init(): pass\n"
        "def run(data):\n    global runs\n    runs += 1\n"
        "    if data == 'slow': time.sleep(0.6)\n    return runs\n"
    )
    pool(script, scenario)


def test_what_was_sent_ahead_while_a_stream_runs_waits_for_its_end(pool: Run):
    async def scenario(bench: Bench) -> None:
        stream = await bench.submit(b"40")
        behind = [bench.submit(b"0") for _ in range(6)]
        withdrawn = bench.submit(b"0", within_s=0.1)
        with pytest.raises(TimedOut):
            await withdrawn
        assert len([piece async for piece in stream.chunks]) == 40
        assert [int(reply.body) for reply in await asyncio.gather(*behind)] == [2, 3, 4, 5, 6, 7]
        assert await bench.score(b"0") == b"8"

    script = (
        "runs = 0\ndef init(): pass\n"
        "def run(data):\n    global runs\n    runs += 1\n"
        "    return ('x' for _ in range(int(data))) if int(data) else runs\n"
    )
    pool(script, scenario)


def test_what_was_sent_ahead_of_a_crash_is_run_by_the_fresh_worker_in_order(pool: Run):
    async def scenario(bench: Bench) -> None:
        answers = [bench.submit(data) for data in (b"kill", b"a", b"b", b"c", b"d", b"e")]
        with pytest.raises(ScriptRaised):
            await answers[0]
        assert [reply.body for reply in await asyncio.gather(*answers[1:])] == [
            b'"a"',
            b'"b"',
            b'"c"',
            b'"d"',
            b'"e"',
        ]

    pool(ENDS, scenario)


@pytest.mark.slow
@settings(max_examples=5, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(
    asked=st.lists(
        st.sampled_from(["ok"] * 40 + ["kill", "segfault", "exit", "raise"]), min_size=100, max_size=200
    ),
    workers=st.integers(1, 4),
    concurrent=st.integers(1, 4),
)
def test_among_faults_no_request_is_lost_and_none_runs_twice(
    pool: Run, folder: Path, asked: list[str], workers: int, concurrent: int
):
    record = folder / "record"
    record.write_text("")

    async def scenario(bench: Bench) -> None:
        futures = [bench.submit(f"{number} {how}".encode(), within_s=60) for number, how in enumerate(asked)]
        answers = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 60)
        began = [int(line) for line in record.read_text().split()]
        assert len(set(began)) == len(began)
        if concurrent <= workers:
            assert sorted(began) == list(range(len(asked)))
        for number, (how, answer) in enumerate(zip(asked, answers, strict=True)):
            if how == "ok" and not isinstance(answer, Exception):
                assert answer.body == str(number).encode()
                assert number in began
            elif how == "ok":
                assert concurrent > workers
                assert "while this request ran" in str(answer)
            else:
                assert isinstance(answer, ScriptRaised)
        assert bench.pool.running == bench.pool.queued == 0

    script = (
        "import ctypes, os, signal\n"
        f"log = os.open({str(record)!r}, os.O_WRONLY | os.O_APPEND)\n"
        "def init(): pass\n"
        "def run(data):\n"
        "    number, how = data.split()\n"
        "    os.write(log, b'%d\\n' % int(number))\n"
        "    if how == 'kill': os.kill(os.getpid(), signal.SIGKILL)\n"
        "    if how == 'segfault': ctypes.string_at(0)\n"
        "    if how == 'exit': os._exit(0)\n"
        "    if how == 'raise': raise ValueError\n"
        "    return int(number)\n"
    )
    pool(script, scenario, workers=workers, max_concurrent=concurrent, queue_wait_s=60.0)
