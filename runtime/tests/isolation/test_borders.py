"""What crosses the border stays whole, what does not belong there never crosses, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelyard_runtime.worker.failures import ScriptRaised
from modelyard_runtime.worker.requests import Tensor

from runtime.tests.isolation.pools import ECHO, Bench, Run, fp32

IDENTITY = "def init(): pass\ndef infer(inputs): return inputs\n"
LARGE = 1_000_000


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(junk=st.binary(min_size=1, max_size=100))
def test_whatever_a_worker_writes_on_the_line_the_front_lives_and_replaces_it(pool: Run, junk: bytes):
    async def scenario(bench: Bench) -> None:
        with contextlib.suppress(ScriptRaised):
            await bench.score(json.dumps(list(junk)).encode(), within_s=10)
        await bench.until(lambda: bench.pool.ready)
        assert await bench.score(b"[]", within_s=10) == b"0"

    script = (
        "import json, os, stat, time\ndef init(): pass\n"
        "def run(data):\n"
        "    junk = bytes(json.loads(data))\n"
        "    if not junk: return 0\n"
        "    for fd in map(int, os.listdir('/dev/fd')):\n"
        "        try:\n"
        "            if stat.S_ISSOCK(os.fstat(fd).st_mode) and fd > 2: os.write(fd, junk * 8)\n"
        "        except OSError: pass\n"
        "    os._exit(0)\n"
    )
    pool(script, scenario)


def test_a_worker_that_hangs_up_but_lives_on_is_ended(pool: Run):
    async def scenario(bench: Bench) -> None:
        with pytest.raises(ScriptRaised, match="closed its line"):
            await bench.score()
        await bench.until(lambda: bench.pool.ready)

    script = "import os, time\ndef init(): pass\ndef run(d):\n    os.closerange(3, 99)\n    time.sleep(100)\n"
    pool(script, scenario)


def test_inputs_are_views_that_cannot_be_written_and_are_not_copied(pool: Run):
    async def scenario(bench: Bench) -> None:
        (output,) = await bench.infer(fp32(np.zeros(LARGE)))
        assert np.frombuffer(output.data, "i8").tolist() == [0, 0]

    script = (
        "import numpy as np\ndef init(): pass\n"
        "def infer(inputs):\n    x = inputs['x']\n"
        "    return {'y': np.array([x.flags.owndata, x.flags.writeable], 'i8')}\n"
    )
    pool(script, scenario)


def test_an_input_that_the_script_keeps_is_never_overwritten(pool: Run):
    async def scenario(bench: Bench) -> None:
        for number in range(5):
            (first,) = await bench.infer(fp32(np.full(LARGE, number)))
            assert set(np.frombuffer(first.data, "f4").tolist()) == {0.0}
            del first

    script = (
        "kept = []\ndef init(): pass\n"
        "def infer(inputs):\n    kept.append(inputs['x'])\n    return {'y': kept[0][::100_000].copy()}\n"
    )
    pool(script, scenario)


def test_results_stay_whole_while_the_front_holds_them(pool: Run):
    async def scenario(bench: Bench) -> None:
        held = [(await bench.infer(fp32(np.full(LARGE, number))))[0] for number in range(6)]
        for number, tensor in enumerate(held):
            assert np.all(np.frombuffer(tensor.data, "f4") == number)

    pool(IDENTITY, scenario)


def test_the_same_memory_serves_one_request_after_the_other(pool: Run):
    async def scenario(bench: Bench) -> None:
        for number in range(3):
            await bench.infer(fp32(np.full(LARGE, number)))
        before = mappings(bench.pool.pids[0])
        for number in range(30):
            await bench.infer(fp32(np.full(LARGE, number)))
        assert mappings(bench.pool.pids[0]) <= before + 1

    pool(IDENTITY, scenario)


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def mappings(pid: int) -> int:
    return Path(f"/proc/{pid}/maps").read_text().count("memfd:modelyard")


def test_closing_leaves_no_process_no_descriptor_and_no_memory(pool: Run):
    seen: list[int] = []

    async def scenario(bench: Bench) -> None:
        await asyncio.gather(*(bench.infer(fp32(np.zeros(LARGE))) for _ in range(8)))
        seen.extend(bench.pool.pids)

    pool(IDENTITY, scenario)
    before, shared = open_files(), mappings(os.getpid())
    for _ in range(2):
        pool(IDENTITY, scenario, workers=2)
    assert open_files() == before
    assert mappings(os.getpid()) == shared == 0
    assert not [pid for pid in seen if Path(f"/proc/{pid}").exists()]


def test_closing_while_requests_run_is_quick_and_leaves_nothing(pool: Run):
    seen: list[int] = []

    async def scenario(bench: Bench) -> float:
        futures = [bench.submit() for _ in range(3)]
        await asyncio.sleep(0.1)
        seen.extend(bench.pool.pids)
        began = time.monotonic()
        await bench.pool.close()
        assert len(await asyncio.gather(*futures, return_exceptions=True)) == 3
        return time.monotonic() - began

    script = "import time\ndef init(): pass\ndef run(data): time.sleep(100)\n"
    assert pool(script, scenario) < 5
    assert not [pid for pid in seen if Path(f"/proc/{pid}").exists()]


def test_unloading_gives_the_models_memory_back(pool: Run):
    async def scenario(bench: Bench) -> None:
        held = sum(resident(pid) for pid in bench.pool.pids)
        assert held > 200e6
        await bench.pool.close()
        assert resident(os.getpid()) < before + 20e6

    before = resident(os.getpid())
    pool("def init():\n    global m\n    m = b'x' * 200_000_000\ndef run(d): return len(m)\n", scenario)


def resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096.0


def interpreters() -> dict[tuple[int, int], str]:
    """Every Python from 3.8 on that is installed here, by version."""
    root = (
        shutil.which("pyenv")
        and subprocess.run(
            [shutil.which("pyenv") or "", "root"], check=True, capture_output=True, text=True
        ).stdout.strip()
    )
    candidates = list(Path(root or "/nowhere").glob("versions/*/bin/python"))
    candidates += [Path(found) for n in range(8, 15) if (found := shutil.which(f"python3.{n}"))]
    known = {}
    for candidate in candidates:
        asked = subprocess.run(
            [candidate, "-c", "import sys; print(*sys.version_info[:2])"],
            check=False,
            capture_output=True,
            text=True,
        )
        version = tuple(map(int, asked.stdout.split()))
        if len(version) == 2 and version >= (3, 8):
            known[version[0], version[1]] = str(candidate)
    return known


FOUND = interpreters()


@pytest.mark.parametrize("version", sorted({min(FOUND), max(FOUND)}) if FOUND else [])
def test_a_worker_runs_under_the_users_own_interpreter(pool: Run, version: tuple[int, int]):
    async def scenario(bench: Bench) -> None:
        large = b"x" * 300_000
        seen = json.loads(await bench.score(json.dumps(large.decode()).encode()))
        assert seen == [*version, 300_000]
        stream = await bench.submit(b"3")
        assert b"".join([piece async for piece in stream.chunks]) == b"0\n1\n2\n"

    script = (
        "import json, sys\ndef init(): pass\n"
        "def run(data):\n    value = json.loads(data)\n"
        "    return [*sys.version_info[:2], len(value)] if isinstance(value, str) else iter(range(value))\n"
    )
    pool(script, scenario, worker_python=FOUND[version])


@pytest.mark.parametrize("version", sorted({min(FOUND), max(FOUND)}) if FOUND else [])
def test_a_script_without_numpy_answers_tensors_through_json(pool: Run, version: tuple[int, int]):
    async def scenario(bench: Bench) -> None:
        (output,) = await bench.infer(fp32(np.array([[1, 2], [3, 4]])))
        assert list(output.shape) == [2]
        (output,) = await bench.infer(Tensor("x", "INT64", (2,), np.array([3, 4], "<i8").tobytes()))
        assert np.frombuffer(output.data, "<i8").tolist() == [3, 4]

    script = (
        "import json\ndef init(): pass\n"
        "def run(data):\n"
        "    return [sum(x) if isinstance(x, list) else x for x in json.loads(data)['data']]\n"
    )
    pool(script, scenario, worker_python=FOUND[version])


def test_a_package_that_conflicts_with_the_runtimes_is_the_workers_alone(pool: Run, folder: Path):
    own = folder / "own"
    (own / "numpy").mkdir(parents=True)
    (own / "numpy" / "__init__.py").write_text("__version__ = '0.1 of the user'\n")

    async def scenario(bench: Bench) -> None:
        assert json.loads(await bench.score()) == "0.1 of the user"
        assert np.__version__ != "0.1 of the user"

    script = "import numpy\ndef init(): pass\ndef run(data): return numpy.__version__\n"
    pool(script, scenario, variables={"PYTHONPATH": str(own)})


def test_hundreds_of_requests_over_several_workers_all_get_their_own_answer(pool: Run):
    async def scenario(bench: Bench) -> None:
        answers = await asyncio.gather(*(bench.score(str(n).encode()) for n in range(900)))
        assert answers == [str(n).encode() for n in range(900)]

    pool(ECHO, scenario, workers=3, max_concurrent=6)


def test_a_request_that_asks_for_too_much_memory_fails_alone(pool: Run):
    async def scenario(bench: Bench) -> None:
        with pytest.raises(ScriptRaised):
            await bench.score()
        await bench.until(lambda: bench.pool.ready)
        assert await bench.score(b"0") == b"0"

    script = (
        "import resource\ndef init(): resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "def run(data): return len(b'x' * 2**31) if data == '1' else 0\n"
    )
    pool(script, scenario)
