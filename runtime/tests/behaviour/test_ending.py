"""SIGTERM and faults while requests of every kind are in flight: who is answered, and what a crash costs."""

from __future__ import annotations

import http
import http.client
import signal
import threading
from collections.abc import Iterator

import grpc
import pytest

from runtime.tests.behaviour.asking import (
    INFER,
    NAPPING,
    STREAM,
    Crowd,
    channel,
    message,
    napped,
    number,
    settled,
)
from runtime.tests.behaviour.replicas import Replica, asked, replica, tree

BOTH = pytest.mark.parametrize("isolation", ["thread", "process"])
DRIPPING = """
import time

def init():
    pass

def run(data):
    def pieces():
        for number in range(int(data)):
            yield "%d\\n" % number
            time.sleep(0.2)
    return pieces()
"""
DYING = """
import ctypes, os, time

def init():
    pass

def run(data):
    if data == "crash":
        time.sleep(0.3)
        ctypes.string_at(0)
    time.sleep(float(data))
    return os.getpid()
"""
LEAKING = """
import time
held = []

def init():
    pass

def run(data):
    held.append(b"x" * 100_000_000)
    time.sleep(float(data))
    return len(held)
"""


@BOTH
def test_sigterm_answers_rest_and_grpc_that_run_or_wait_and_refuses_none_it_took(isolation: str):
    with (
        replica(NAPPING, isolation=isolation, max_concurrent=2, max_queued=20, queue_wait_s=30.0) as one,
        channel(one) as opened,
    ):
        one.ready()
        with Crowd(one, 4) as crowd:
            scores = crowd.scores([napped(0.5)] * 4)
            calls = [opened.unary_unary(INFER).future(message(0.5), timeout=30) for _ in range(4)]
            settled(one, running=2, queued=6)
            one.process.send_signal(signal.SIGTERM)
            assert [reply.result().status for reply in scores] == [http.HTTPStatus.OK] * 4
            assert [number(call.result()) for call in calls] == [0.5] * 4
        assert one.process.wait(20) == 0
        assert one.log().count("ran 0.5") == 8


@BOTH
def test_sigterm_lets_a_stream_of_calls_end(isolation: str):
    over = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield message(0.25)
        over.wait(20)
        yield message(0.125)

    with replica(NAPPING, isolation=isolation) as one, channel(one) as opened:
        one.ready()
        answers = opened.stream_stream(STREAM)(slowly(), timeout=30)
        first = next(answers)
        one.process.send_signal(signal.SIGTERM)
        one.until(lambda: one.state().phase == "draining")
        over.set()
        rest = list(answers)
        assert one.process.wait(20) == 0
    assert [len(answer) > 0 for answer in (first, *rest)] == [True, True]


@BOTH
def test_sigterm_lets_an_answer_in_pieces_end(isolation: str):
    with replica(DRIPPING, isolation=isolation) as one:
        one.ready()
        connection = one.connection()
        connection.request("POST", "/score", b"6")
        answer = connection.getresponse()
        assert answer.read(2) == b"0\n"
        one.process.send_signal(signal.SIGTERM)
        assert answer.read() == b"1\n2\n3\n4\n5\n"
        connection.close()
        assert one.process.wait(20) == 0


def test_a_crash_in_native_code_costs_the_one_request():
    with replica(DYING, isolation="process", workers=2, max_concurrent=2, queue_wait_s=30.0) as one:
        one.ready()
        server = one.state().server_pid
        with Crowd(one, 6) as crowd:
            bystander, crashed = crowd.score(b"1.0"), crowd.score(b"crash")
            settled(one, running=2)
            waiting = crowd.scores([b"0.01"] * 4)
            assert crashed.result().status == http.HTTPStatus.INTERNAL_SERVER_ERROR
            assert {reply.result().status for reply in (bystander, *waiting)} == {http.HTTPStatus.OK}
        assert (one.state().server_pid, one.state().restarts) == (server, 0)
        assert "SIGSEGV" in one.log()


def test_memory_returns_once_a_worker_that_leaked_is_started_again():
    with replica(LEAKING, isolation="process", timeout_s=1.0) as one:
        one.ready()
        before = one.resident_bytes()
        connection = one.connection()
        assert [asked(connection, "POST", "/score", b"0").body for _ in range(3)] == [b"1", b"2", b"3"]
        assert one.resident_bytes() > before + 250e6
        processes = set(tree(one.state().server_pid))
        assert asked(connection, "POST", "/score", b"30").status == http.HTTPStatus.GATEWAY_TIMEOUT
        connection.close()
        one.until(lambda: set(tree(one.state().server_pid)) != processes and scores(one))
        one.until(lambda: one.resident_bytes() < before + 130e6)  # one request's worth: it keeps that


def scores(one: Replica) -> bool:
    return one.ask("POST", "/score", b"0").body == b"1"


def test_a_call_without_deadline_ends_when_the_replica_is_killed():
    with replica(NAPPING) as one, channel(one) as opened:
        one.ready()
        call = opened.unary_unary(INFER).future(message(20))
        settled(one, running=1)
        one.process.kill()
        assert call.exception(timeout=20).code() is grpc.StatusCode.UNAVAILABLE
