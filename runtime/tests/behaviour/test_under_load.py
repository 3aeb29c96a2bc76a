"""What holds while models run at full load: health answers, no doomed request runs, a dead worker is noticed."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

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
COUNTING = """
import time

def init():
    pass

def run(data):
    print("ran", data, flush=True)
    time.sleep(0.5)
    return data
"""
PID = "import os\ndef init(): pass\ndef run(data): return os.getpid()\n"


@contextlib.contextmanager
def load(one: Replica, body: bytes, clients: int) -> Iterator[None]:
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                one.ask("POST", "/score", body)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


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


def test_a_request_that_cannot_be_answered_in_time_is_never_run():
    with replica(COUNTING, timeout_s=0.7, queue_wait_s=10.0) as one:
        one.ready()
        begun = [threading.Thread(target=one.ask, args=("POST", "/score", b"%d" % n)) for n in range(4)]
        for thread in begun:
            thread.start()
        for thread in begun:
            thread.join()
        one.until(lambda: one.status()["running"] == 0)
        assert 1 <= one.log().count("ran ") <= 2


def test_a_replica_without_its_one_worker_is_not_ready_and_comes_back():
    with replica(PID, isolation="process") as one:
        one.ready()
        worker = int(one.ask("POST", "/score", b"x").body)
        assert worker in tree(one.state().server_pid)
        os.kill(worker, signal.SIGKILL)
        one.until(lambda: one.ask("GET", "/").status == http.HTTPStatus.SERVICE_UNAVAILABLE, within_s=1.0)
        one.until(lambda: one.ask("GET", "/").status == http.HTTPStatus.OK)
        assert int(one.ask("POST", "/score", b"x").body) != worker
