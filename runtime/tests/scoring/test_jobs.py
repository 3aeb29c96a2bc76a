"""Claims, the drain rate, and how long a batch waits."""

from __future__ import annotations

import asyncio
import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.contract import Batching
from modelyard_runtime.scoring import jobs
from modelyard_runtime.scoring.batching import Arrivals, wait_s
from modelyard_runtime.scoring.jobs import DrainRate, Job
from modelyard_runtime.worker.requests import ScoreRequest

REQUEST = ScoreRequest("POST", "/score", b"", (), b"1")


def test_of_many_threads_one_alone_claims_a_job():
    loop = asyncio.new_event_loop()
    job = Job(REQUEST, loop.create_future(), 1.0)
    won: list[int] = []
    start = threading.Barrier(8)

    def grab(number: int) -> None:
        start.wait()
        if job.claim():
            won.append(number)

    threads = [threading.Thread(target=grab, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loop.close()
    assert len(won) == 1
    assert job.begun


def test_the_time_to_retry_is_the_queue_divided_by_the_rate(monkeypatch: pytest.MonkeyPatch):
    now = 100.0
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now)
    rate = DrainRate()
    now = 102.0
    rate.completed = 20
    assert rate.seconds_for(35) == 4


def test_without_any_answer_lately_the_longest_wait_is_said():
    assert DrainRate().seconds_for(3) == DrainRate.LONGEST_S


def test_time_in_which_nobody_waited_does_not_make_the_rate_look_low(monkeypatch: pytest.MonkeyPatch):
    now = 100.0
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now)
    rate = DrainRate()
    now = 4000.0
    rate.queue_begins()
    now, rate.completed = 4001.0, 10
    assert rate.seconds_for(20) == 2


def test_a_queue_that_has_not_moved_yet_is_judged_by_the_rate_seen_last(monkeypatch: pytest.MonkeyPatch):
    now = 100.0
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now)
    rate = DrainRate()
    now, rate.completed = 101.0, 10
    assert rate.seconds_for(20) == 2
    now = 4000.0
    rate.queue_begins()
    now = 4000.1
    assert rate.seconds_for(20) == 2
    now = 4003.0
    assert rate.seconds_for(20) == DrainRate.LONGEST_S


@given(st.integers(1, 64), st.floats(0, 1), st.integers(1, 64), st.floats(0, 2), st.floats(0, 10))
def test_a_batch_never_waits_past_its_limit_nor_when_it_is_full(
    most: int, limit_s: float, size: int, waited_s: float, gap_s: float
):
    pause = wait_s(Batching(max_size=most, max_wait_s=limit_s), size=size, waited_s=waited_s, gap_s=gap_s)
    assert 0 <= pause <= max(0.0, limit_s - waited_s)
    assert size < most or pause == 0


def test_a_lone_request_does_not_wait_for_company_that_never_came():
    assert wait_s(Batching(max_size=8, max_wait_s=0.01), size=1, waited_s=0, gap_s=math.inf) == 0


@given(st.lists(st.floats(0.001, 0.1), min_size=2))
def test_the_usual_gap_lies_between_the_least_and_the_greatest(gaps: list[float]):
    arrivals, now = Arrivals(), 0.0
    arrivals.note(now)
    for gap in gaps:
        now += gap
        arrivals.note(now)
    assert min(gaps) - 1e-9 <= arrivals.gap_s <= max(gaps) + 1e-9
