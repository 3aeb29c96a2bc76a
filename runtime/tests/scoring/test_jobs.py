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
    job = Job(REQUEST, loop.create_future(), 1.0, 1.0)
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


class Clock:
    """A pool's life, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0
        self.rate = DrainRate()

    def monotonic(self) -> float:
        return self.now

    def passes(self, seconds: float, *, answers: int = 0) -> None:
        self.now += seconds
        for _ in range(answers):
            self.rate.answered()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(jobs.time, "monotonic", clock.monotonic)
    return clock


def test_the_time_to_retry_is_the_queue_divided_by_the_rate(clock: Clock):
    clock.rate.full()
    clock.passes(2.0, answers=20)
    assert clock.rate.seconds_for(35) == 4


def test_without_any_answer_lately_the_longest_wait_is_said(clock: Clock):
    assert clock.rate.seconds_for(3) == DrainRate.LONGEST_S
    clock.rate.full()
    clock.passes(1.0, answers=10)
    for _ in range(3):
        clock.passes(2.0)
        said = clock.rate.seconds_for(3)
    assert said == DrainRate.LONGEST_S


@pytest.mark.parametrize("idle_s", [0.5, 3600.0])
def test_time_in_which_a_slot_was_free_does_not_make_the_rate_look_low(clock: Clock, idle_s: float):
    for _ in range(10):
        clock.passes(idle_s)
        clock.rate.full()
        clock.passes(0.1, answers=1)
        clock.rate.free()
    clock.rate.full()
    assert clock.rate.seconds_for(20) == 2


def test_a_rate_of_long_ago_is_forgotten_once_there_is_a_new_one(clock: Clock):
    clock.rate.full()
    clock.passes(100.0, answers=10_000)
    clock.rate.free()
    for _ in range(3):
        clock.rate.full()
        clock.passes(2.0, answers=2)
        clock.rate.free()
    assert clock.rate.seconds_for(20) == 20


@given(
    st.integers(1, 64),
    st.floats(0, 1),
    st.integers(1, 64),
    st.floats(0, 2),
    st.floats(0, 10),
    st.floats(0, 9),
)
def test_a_batch_never_waits_past_its_limit_nor_when_it_is_full(
    most: int, limit_s: float, size: int, waited_s: float, gap_s: float, quiet_s: float
):
    pause = wait_s(
        Batching(max_size=most, max_wait_s=limit_s),
        size=size,
        waited_s=waited_s,
        gap_s=gap_s,
        quiet_s=quiet_s,
    )
    assert 0 <= pause <= max(0.0, limit_s - waited_s)
    assert size < most or pause == 0


def test_a_lone_request_does_not_wait_for_company_that_never_came():
    assert wait_s(Batching(max_size=8, max_wait_s=0.01), size=1, waited_s=0, gap_s=math.inf, quiet_s=0) == 0


def test_hope_for_company_ends_a_few_usual_gaps_after_the_last_one_came():
    batching = Batching(max_size=8, max_wait_s=1.0)
    pauses = [
        wait_s(batching, size=1, waited_s=quiet_s, gap_s=0.1, quiet_s=quiet_s)
        for quiet_s in (0, 0.2, 0.3, 0.4)
    ]
    assert pauses == pytest.approx([0.3, 0.1, 0, 0])


@given(st.lists(st.floats(0.001, 0.1), min_size=2))
def test_the_usual_gap_lies_between_the_least_and_the_greatest(gaps: list[float]):
    arrivals, now = Arrivals(), 0.0
    arrivals.note(now)
    for gap in gaps:
        now += gap
        arrivals.note(now)
    assert min(gaps) - 1e-9 <= arrivals.gap_s <= max(gaps) + 1e-9
