"""What a script starts, and streams that stand still, hold nothing for good."""

from __future__ import annotations

import http
import os
import signal
import socket
import time

import pytest

from runtime.tests.behaviour.replicas import Replica, alive, replica

BOTH = pytest.mark.parametrize("isolation", ["thread", "process"])
PARENT = """
import pathlib, subprocess, sys
def init():
    sleep = [sys.executable, "-c", "import time; time.sleep(1000)"]
    children = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)]
    pathlib.Path("children").write_text(" ".join(str(child.pid) for child in children))
def run(data): return data
"""
HANGING = """
import time
def init(): pass
def run(data):
    if data: return "ran"
    return pieces()
def pieces():
    yield "first"
    time.sleep(1000)
"""
ENDLESS = """
def init(): pass
def run(data):
    if data: return "ran"
    return pieces()
def pieces():
    while True:
        yield "x" * 100_000
"""


def children(one: Replica) -> list[int]:
    return [int(pid) for pid in (one.folder / "app" / "children").read_text().split()]


@BOTH
def test_the_processes_of_a_script_end_with_a_server_that_is_killed(isolation: str):
    with replica(PARENT, isolation=isolation) as one:
        before = children(one.ready())
        state = one.state()
        assert state is not None
        os.kill(state.server_pid, signal.SIGKILL)
        one.until(lambda: not any(map(alive, before)))
        one.until(lambda: (now := one.state()) is not None and now.restarts == 1 and now.phase == "ready")
        assert all(map(alive, children(one)))


@BOTH
def test_the_processes_of_a_script_end_with_its_replica(isolation: str):
    with replica(PARENT, isolation=isolation) as one:
        started = children(one.ready())
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(20) == 0
        one.until(lambda: not any(map(alive, started)))


def opened(one: Replica) -> socket.socket:
    """Ask for a stream, and read nothing of it."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(one.socket))
    client.sendall(b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
    return client


def received(client: socket.socket) -> bytes:
    """Read until the other side ends it."""
    client.settimeout(20)
    content = b""
    while part := client.recv(65536):
        content += part
    return content


def test_a_stream_whose_next_piece_does_not_come_is_broken_off_and_its_worker_replaced():
    with replica(HANGING, isolation="process", timeout_s=0.5, queue_wait_s=10.0) as one:
        one.ready()
        with opened(one) as client:
            content = received(client)
        assert b"first" in content
        assert not content.endswith(b"0\r\n\r\n")  # cut, not ended
        assert scored(one) == http.HTTPStatus.OK


def test_in_a_thread_such_a_stream_is_broken_off_too_and_its_slot_stays_counted():
    with replica(HANGING, timeout_s=0.5, max_concurrent=2, queue_wait_s=10.0) as one:
        one.ready()
        with opened(one) as client:
            assert b"first" in received(client)
        assert one.status()["running"] == 1
        assert scored(one) == http.HTTPStatus.OK


@BOTH
@pytest.mark.parametrize("slots", [1, 2])
def test_a_client_that_reads_nothing_of_its_stream_does_not_keep_the_slot(isolation: str, slots: int):
    with replica(ENDLESS, isolation=isolation, timeout_s=0.5, max_concurrent=slots, queue_wait_s=10.0) as one:
        one.ready()
        clients = [opened(one) for _ in range(slots)]
        one.until(lambda: one.status()["running"] == slots)
        assert scored(one) == http.HTTPStatus.OK
        for client in clients:
            client.close()


@BOTH
def test_a_stream_may_last_longer_than_the_time_of_a_request(isolation: str):
    script = (
        "import time\ndef init(): pass\ndef run(data): return pieces()\n"
        "def pieces():\n    for number in range(5):\n        time.sleep(0.3)\n        yield str(number)\n"
    )
    with replica(script, isolation=isolation, timeout_s=0.8) as one:
        one.ready()
        began = time.monotonic()
        assert one.ask("POST", "/score").body == b"01234"
        assert time.monotonic() - began > 1.2


def scored(one: Replica) -> int:
    """Score until it is let in: until the slot is free, requests end at their own time."""
    statuses: list[int] = []

    def answered() -> bool:
        statuses.append(one.ask("POST", "/score", b"x").status)
        return statuses[-1] == http.HTTPStatus.OK

    one.until(answered, within_s=8)
    return statuses[-1]
