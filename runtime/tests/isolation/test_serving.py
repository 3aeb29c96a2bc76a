"""What a pool of worker processes is asked, it answers: texts, tensors, streams, batches, in any number."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from modelyard_runtime.scoring.streams import InferStream, ScoreStream
from modelyard_runtime.worker.failures import BadInput, ScriptRaised
from modelyard_runtime.worker.replies import HttpReply
from modelyard_runtime.worker.requests import InferRequest, ScoreRequest

from runtime.tests.isolation.pools import ECHO, Bench, Run, fp32

WHO = "import os\ndef init(): pass\ndef run(data): return os.getpid()\n"
IDENTITY = "def init(): pass\ndef infer(inputs): return inputs\n"


def test_a_worker_process_answers(pool: Run):
    async def scenario(bench: Bench) -> None:
        assert json.loads(await bench.score(b'{"a": [1, 2]}')) == {"a": [1, 2]}
        assert bench.pool.description is not None

    pool(ECHO, scenario)


def test_a_body_too_large_for_the_socket_arrives_whole_and_so_does_its_answer(pool: Run):
    async def scenario(bench: Bench) -> None:
        sent = json.dumps("x" * 3_000_000).encode()
        for _ in range(3):
            assert await bench.score(sent) == sent

    pool(ECHO, scenario)


def test_a_script_that_wants_headers_gets_them_and_one_that_does_not_costs_none(pool: Run):
    async def scenario(bench: Bench) -> None:
        request = ScoreRequest("POST", "/score", b"", ((b"x-mine", b"7"),), b"1")
        assert b"7" in (await bench.send(request)).body

    pool(
        "def init(): pass\ndef run(data, request_headers):\n"
        "    return {k.lower(): v for k, v in request_headers.items()}\n",
        scenario,
    )


@pytest.mark.parametrize("shape", [(1, 4), (0, 3), (), (500, 1000)])
def test_tensors_come_back_as_they_went(pool: Run, shape: tuple[int, ...]):
    async def scenario(bench: Bench) -> None:
        values = np.arange(np.prod(shape, dtype=int), dtype="<f4").reshape(shape)
        (output,) = await bench.infer(fp32(values))
        assert (output.name, output.datatype, tuple(output.shape)) == ("x", "FP32", shape or (1,))
        assert bytes(output.data) == values.tobytes()

    pool(IDENTITY, scenario)


def test_every_worker_has_an_init_of_its_own_and_all_share_the_work(pool: Run):
    async def scenario(bench: Bench) -> None:
        answers = await asyncio.gather(*(bench.score() for _ in range(60)))
        assert set(answers) == {str(pid).encode() for pid in bench.pool.pids}
        assert len(set(answers)) == 3

    pool(WHO.replace("return", "__import__('time').sleep(0.005); return"), scenario, workers=3)


def test_one_slot_runs_the_script_on_the_main_thread_alone(pool: Run):
    async def scenario(bench: Bench) -> None:
        assert await bench.score() == b"[true,1]"

    script = (
        "import threading\ndef init(): global m; m = threading.current_thread() is threading.main_thread()\n"
        "def run(data):\n"
        "    here = threading.current_thread() is threading.main_thread()\n"
        "    return [m and here, threading.active_count()]\n"
    )
    pool(script, scenario)


def test_several_slots_of_one_worker_run_at_once(pool: Run):
    async def scenario(bench: Bench) -> None:
        await asyncio.wait_for(asyncio.gather(*(bench.score() for _ in range(4))), 10)

    script = (
        "import threading\nmeeting = threading.Barrier(4)\ndef init(): pass\n"
        "def run(data): meeting.wait(10); return 1\n"
    )
    pool(script, scenario, max_concurrent=4)


def test_what_a_script_raises_is_the_answer_and_the_worker_lives_on(pool: Run):
    async def scenario(bench: Bench) -> None:
        before = bench.pool.pids
        for body in (b"1", b"2"):
            with pytest.raises(ScriptRaised):
                await bench.score(body)
        assert await bench.score(b"0") == b"1.0"
        assert bench.pool.pids == before

    script = (
        "import sys\ndef init(): pass\n"
        "def run(data):\n    if data == '2': sys.exit(3)\n    return 1 / (1 - int(data))\n"
    )
    pool(script, scenario)


def test_a_failure_crosses_with_its_place_and_status(pool: Run):
    async def scenario(bench: Bench) -> None:
        request = ScoreRequest("POST", "/score", b"", (), b"\xff\xfe")
        with pytest.raises(BadInput) as raised:
            await bench.send(request)
        assert raised.value.status == 400

    pool(ECHO, scenario)


def test_a_stream_comes_in_pieces_and_never_runs_far_ahead_of_its_reader(pool: Run):
    async def scenario(bench: Bench) -> None:
        stream = await bench.submit(b"100")
        assert isinstance(stream, ScoreStream)
        first = await anext(stream.chunks)
        await asyncio.sleep(0.2)
        assert first == b"0\n"
        pieces = [piece async for piece in stream.chunks]
        assert pieces[-1] == b"99\n"
        assert len(pieces) == 99
        assert await bench.score(b"-1") == b"100"

    script = (
        "made = 0\nahead = 0\ndef init(): pass\n"
        "def run(data):\n    return count(int(data)) if int(data) > 0 else made\n"
        "def count(n):\n    global made\n"
        "    for made in range(n):\n        yield '%d\\n' % made\n    made = n\n"
    )
    pool(script, scenario)


@pytest.mark.parametrize("slots", [1, 2])
def test_a_reader_that_leaves_ends_the_generator_and_frees_the_slot(pool: Run, slots: int):
    async def scenario(bench: Bench) -> None:
        streams = [await bench.submit(b"1") for _ in range(slots)]
        for stream in streams:
            await anext(stream.chunks)
            stream.chunks.close()
        assert await bench.score(b"0") == str(slots).encode()

    script = (
        "import time\nended = 0\ndef init(): pass\n"
        "def run(data):\n    if data == '1': return forever()\n"
        f"    while ended < {slots}: time.sleep(0.01)\n    return ended\n"
        "def forever():\n    global ended\n"
        "    try:\n        while True: yield 'x'; time.sleep(0.001)\n    finally: ended += 1\n"
    )
    pool(script, scenario, max_concurrent=slots)


def test_a_generator_that_raises_ends_the_stream_with_a_failure(pool: Run):
    async def scenario(bench: Bench) -> None:
        stream = await bench.submit()
        assert await anext(stream.chunks) == b"a"
        with pytest.raises(ScriptRaised):
            await anext(stream.chunks)
        stream = await bench.submit()
        assert await anext(stream.chunks) == b"a"

    pool("def init(): pass\ndef run(data):\n    yield 'a'\n    raise ValueError\n", scenario)


def test_tensors_can_stream_and_large_parts_travel_through_shared_memory(pool: Run):
    async def scenario(bench: Bench) -> None:
        values = np.arange(100_000, dtype="<f4")
        stream = await bench.send(InferRequest((fp32(values),), (), ()))
        assert isinstance(stream, InferStream)
        parts = [bytes(part[0].data) async for part in stream.parts]
        assert parts == [(values * factor).tobytes() for factor in range(20)]

    script = "def init(): pass\ndef infer(inputs):\n    for n in range(20): yield {'y': inputs['x'] * n}\n"
    pool(script, scenario)


def test_an_answer_that_a_script_wrote_itself_keeps_status_and_headers(pool: Run):
    async def scenario(bench: Bench) -> None:
        reply = await bench.submit()
        assert isinstance(reply, HttpReply)
        assert (reply.status, reply.body) == (418, b"short")
        assert (b"x-mine", b"7") in [(name.lower(), value) for name, value in reply.headers]

    script = (
        "from azureml.contrib.services.aml_request import rawhttp\n"
        "from azureml.contrib.services.aml_response import AMLResponse\n"
        "def init(): pass\n@rawhttp\n"
        "def run(request):\n    r = AMLResponse('short', 418)\n    r.headers['x-mine'] = '7'\n    return r\n"
    )
    pool(script, scenario)


def test_a_batch_is_one_call_and_each_gets_its_own_answer(pool: Run):
    async def scenario(bench: Bench) -> None:
        answers = await asyncio.gather(*(bench.score(str(n).encode()) for n in range(32)))
        assert [json.loads(answer)[0] for answer in answers] == list(range(32))
        assert max(json.loads(answer)[1] for answer in answers) == 8

    script = (
        "import json, time\ndef init(): pass\ndef run(data): return run_batch([data])[0]\n"
        "def run_batch(items):\n    time.sleep(0.02)\n"
        "    return [[json.loads(item), len(items)] for item in items]\n"
    )
    pool(script, scenario, batch=(8, 0.2))


def test_a_lone_request_of_a_batching_pool_does_not_wait_for_company(pool: Run):
    async def scenario(bench: Bench) -> None:
        assert await asyncio.wait_for(bench.score(b"7"), 2) == b"7"

    script = (
        "import json\ndef init(): pass\ndef run(d): return json.loads(d)\n"
        "def run_batch(d): return [run(x) for x in d]\n"
    )
    pool(script, scenario, batch=(8, 5.0))


def test_the_script_sees_a_clean_environment_and_its_own_variables(
    pool: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("PYTHONHOME_OF_ENVOY", "x")

    async def scenario(bench: Bench) -> None:
        seen = json.loads(await bench.score())
        assert seen["MINE"] == "7"
        assert seen["AZUREML_MODEL_DIR"] == "/models/a/1"
        assert "LD_PRELOAD" not in seen
        assert seen["cwd"].endswith("/code")
        assert seen["path"][0].endswith("code")
        assert not [entry for entry in seen["path"] if "modelyard_runtime" in entry]

    script = (
        "import os, sys\ndef init(): pass\n"
        "def run(data): return {**os.environ, 'cwd': os.getcwd(), 'path': [p for p in sys.path if p]}\n"
    )
    pool(script, scenario, variables={"MINE": "7"}, model_dir="/models/a/1")


def test_no_module_name_of_ours_can_meet_one_of_the_users(pool: Run, folder: Path):
    names = ["frames", "messages", "requests", "process", "serving", "worker", "link", "script"]
    (folder / "code").mkdir()
    for name in names:
        (folder / "code" / f"{name}.py").write_text(f"MINE = {name!r}\n")

    async def scenario(bench: Bench) -> None:
        assert json.loads(await bench.score()) == names

    pool(
        f"import {', '.join(names)}\ndef init(): pass\n"
        f"def run(data): return [one.MINE for one in ({', '.join(names)})]\n",
        scenario,
    )
