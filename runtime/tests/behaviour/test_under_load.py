"""What holds while models run at full load: health answers, no doomed request runs, a dead worker is noticed."""

from __future__ import annotations

import asyncio
import http
import os
import re
import signal
import time
from collections import Counter

import pytest

from runtime.tests.behaviour.asking import Crowd, channel, load, settled
from runtime.tests.behaviour.replicas import Replica, replica, tree

BUSY = """
def init():
    pass

def run(data):
    total = 0
    for number in range(int(data)):
        total += number
    return total
"""
NATIVE = """
import ctypes
sleep = ctypes.PyDLL(None).usleep  # called with the interpreter's lock held, as native code may

def init():
    pass

def run(data):
    sleep(int(data))
    return data
"""
ECHO = "def init(): pass\ndef run(data): return data\n"
CHECK = "/grpc.health.v1.Health/Check"
PID = "import os\ndef init(): pass\ndef run(data): return os.getpid()\n"


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_health_answers_soon_while_a_model_holds_the_interpreter(isolation: str):
    with replica(BUSY, isolation=isolation, max_concurrent=4, max_queued=100, queue_wait_s=10.0) as one:
        one.ready()
        took_ms = []
        with load(one, b"3000000", clients=4):
            one.until(lambda: one.status()["running"] == 4)
            for _ in range(100):
                begun = time.monotonic()
                assert one.ask("GET", "/").status == http.HTTPStatus.OK
                took_ms.append((time.monotonic() - begun) * 1000)
        middle = sorted(took_ms)[len(took_ms) // 2]
        print(f"{isolation}: p50 {middle:.1f} ms, p99 {sorted(took_ms)[98]:.1f} ms")  # noqa: T201  # the figure to report
        assert middle < 100  # a shared machine: the promise of 20 ms is measured alone


def test_native_code_that_holds_its_interpreter_delays_nobody_beside_it():
    held_s = 1.0
    with (
        replica(NATIVE, isolation="process", workers=2, max_concurrent=2) as one,
        channel(one) as opened,
        Crowd(one, 1) as crowd,
    ):
        one.ready()
        check = opened.unary_unary(CHECK)
        check(b"", timeout=20)
        held = crowd.score(b"%d" % (held_s * 1e6))
        settled(one, running=1)
        took_ms = []
        while not held.done():
            begun = time.monotonic()
            assert one.ask("GET", "/").status == http.HTTPStatus.OK
            assert check(b"", timeout=20) == b"\x08\x01"
            assert one.status()["running"] == 1 or held.done()  # Python itself answers this one
            assert one.ask("POST", "/score", b"0").status == http.HTTPStatus.OK
            took_ms.append((time.monotonic() - begun) * 1000)
        assert held.result().status == http.HTTPStatus.OK
        assert len(took_ms) > 3, took_ms  # four questions a turn: none of them waited for the second to pass


def test_a_replica_without_its_one_worker_is_not_ready_and_comes_back():
    with replica(PID, isolation="process") as one:
        one.ready()
        worker = int(one.ask("POST", "/score", b"x").body)
        assert worker in tree(one.state().server_pid)
        os.kill(worker, signal.SIGKILL)
        one.until(lambda: one.ask("GET", "/").status == http.HTTPStatus.SERVICE_UNAVAILABLE, within_s=1.0)
        one.until(lambda: one.ask("GET", "/").status == http.HTTPStatus.OK)
        assert int(one.ask("POST", "/score", b"x").body) != worker


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_512_connections_are_all_answered(isolation: str):
    async def client(one: Replica, number: int) -> list[str]:
        reader, writer = await asyncio.open_unix_connection(str(one.socket))
        found = []
        for turn in range(4):
            body = b"%d-%d" % (number, turn)
            writer.write(
                b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(re.search(rb"content-length: (\d+)", head)[1])
            answered = await reader.readexactly(size)
            found.append(head.split(b"\r\n")[0].decode() if answered == b'"%b"' % body else repr(answered))
        writer.close()
        return found

    async def all_clients(one: Replica) -> Counter[str]:
        found = await asyncio.gather(*(client(one, number) for number in range(512)))
        return Counter(line for lines in found for line in lines)

    with replica(ECHO, isolation=isolation, max_queued=1000, queue_wait_s=30.0) as one:
        one.ready()
        assert asyncio.run(all_clients(one)) == {"HTTP/1.1 200 OK": 512 * 4}
        settled(one, running=0)
