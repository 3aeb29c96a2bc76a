"""Batches on real replicas: company is worth a wait, but never more than was allowed, and never changes an answer."""

from __future__ import annotations

import http
import json
import time

import pytest
from modelyard_runtime.contract import Batching

from runtime.tests.behaviour.asking import Crowd
from runtime.tests.behaviour.replicas import replica

BATCHES = """
import json
def init(): pass
def run(data): return run_batch([data])[0]
def run_batch(items): return [[json.loads(item), len(items)] for item in items]
"""
BOTH = pytest.mark.parametrize("isolation", ["thread", "process"])


@BOTH
def test_requests_one_after_the_other_do_not_wait_for_company_that_does_not_come(isolation: str):
    batching = Batching(max_size=8, max_wait_s=5.0)
    with replica(BATCHES, isolation=isolation, batching=batching) as one:
        one.ready()
        began = time.monotonic()
        for number in range(5):
            assert json.loads(one.ask("POST", "/score", b"%d" % number).body) == [number, 1]
        assert time.monotonic() - began < batching.max_wait_s


@BOTH
def test_nobody_waits_longer_than_max_wait_however_steadily_others_came(isolation: str):
    batching = Batching(max_size=8, max_wait_s=0.5)
    with replica(BATCHES, isolation=isolation, batching=batching) as one:
        one.ready()
        for number in range(4):
            time.sleep(0.3)  # a steady client: three of its gaps are more than max_wait
            began = time.monotonic()
            assert json.loads(one.ask("POST", "/score", b"%d" % number).body) == [number, 1]
            assert time.monotonic() - began < batching.max_wait_s + 0.4  # and the time of a request


@BOTH
def test_a_crowd_is_answered_in_batches_each_with_its_own_answer(isolation: str):
    batching = Batching(max_size=8, max_wait_s=0.5)
    with replica(BATCHES, isolation=isolation, batching=batching, max_queued=100, queue_wait_s=20.0) as one:
        one.ready()
        with Crowd(one, 16) as crowd:
            replies = [asked.result() for asked in crowd.scores([b"%d" % number for number in range(64)])]
    assert {reply.status for reply in replies} == {http.HTTPStatus.OK}
    answers = [json.loads(reply.body) for reply in replies]
    assert [number for number, _ in answers] == list(range(64))
    assert max(together for _, together in answers) > 1
    assert all(together <= 8 for _, together in answers)
