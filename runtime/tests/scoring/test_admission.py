"""Slots, the queue before them, deadlines and draining."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

SLOW = """
import threading
gate = threading.Event()
def init(): pass
def run(data):
    if data == 'open':
        gate.set()
    else:
        gate.wait(10)
    return data
"""


def release() -> Any:
    sys.modules["score"].gate.set()


def test_health_and_status_never_wait_behind_a_model(serve: Any):
    async def scenario(client: Any) -> Any:
        busy = asyncio.ensure_future(client.ask("POST", "/score", b"1"))
        await client.until(lambda: client.service.catalog.running == 1)
        health, status = await client.ask("GET", "/"), await client.ask("GET", "/modelyard/status")
        release()
        await busy
        return health, status, await client.ask("GET", "/modelyard/status")

    health, status, after = serve(SLOW, scenario)
    assert health.status == 200
    assert status.json == {"ready": True, "draining": False, "running": 1, "queued": 0}
    assert after.json["running"] == 0


def test_a_full_queue_turns_away_at_once_and_the_queued_one_is_served(serve: Any):
    async def scenario(client: Any) -> Any:
        first = asyncio.ensure_future(client.ask("POST", "/score", b"1"))
        await client.until(lambda: client.service.catalog.running == 1)
        second = asyncio.ensure_future(client.ask("POST", "/score", b"2"))
        await client.until(lambda: client.service.catalog.queued == 1)
        third = await client.ask("POST", "/score", b"3")
        release()
        return (await first).status, (await second).status, third

    first, second, third = serve(SLOW, scenario, max_queued=1, queue_wait_s=10)
    assert (first, second) == (200, 200)
    assert (third.status, third.json["code"]) == (503, "Overloaded")
    assert int(third.headers["retry-after"]) >= 1


def test_nobody_queues_longer_than_queue_wait(serve: Any):
    async def scenario(client: Any) -> Any:
        first = asyncio.ensure_future(client.ask("POST", "/score", b"1"))
        await client.until(lambda: client.service.catalog.running == 1)
        second = await client.ask("POST", "/score", b"2")
        release()
        await first
        return second

    assert serve(SLOW, scenario, queue_wait_s=0.05).json["code"] == "Overloaded"


def test_a_timeout_is_a_504_and_keeps_its_slot_until_run_returns(serve: Any):
    async def scenario(client: Any) -> Any:
        late = await client.ask("POST", "/score", b"1")
        held = client.service.catalog.running
        release()
        await client.until(lambda: client.service.catalog.running == 0)
        return late, held, await client.ask("POST", "/score", b"2")

    late, held, after = serve(SLOW, scenario, timeout_s=0.1)
    assert (late.status, late.json["code"]) == (504, "ScoringTimeout")
    assert held == 1
    assert after.status == 200


def test_a_client_that_leaves_frees_its_place_in_the_queue(serve: Any):
    async def scenario(client: Any) -> Any:
        gone = asyncio.Event()
        first = asyncio.ensure_future(client.ask("POST", "/score", b"1"))
        await client.until(lambda: client.service.catalog.running == 1)
        second = asyncio.ensure_future(client.ask("POST", "/score", b"2", gone=gone))
        await client.until(lambda: client.service.catalog.queued == 1)
        gone.set()
        left = await second
        queued = client.service.catalog.queued
        release()
        await first
        return left.status, queued

    assert serve(SLOW, scenario, queue_wait_s=10) == (0, 0)


def test_draining_refuses_new_requests_and_finishes_running_and_queued_ones(serve: Any):
    async def scenario(client: Any) -> Any:
        first = asyncio.ensure_future(client.ask("POST", "/score", b"1"))
        await client.until(lambda: client.service.catalog.running == 1)
        second = asyncio.ensure_future(client.ask("POST", "/score", b"2"))
        await client.until(lambda: client.service.catalog.queued == 1)
        await client.ask("POST", "/modelyard/drain")
        refused = await client.ask("POST", "/score", b"3")
        status = (await client.ask("GET", "/modelyard/status")).json
        release()
        return refused.json["code"], status, (await first).status, (await second).status

    code, status, first, second = serve(SLOW, scenario, queue_wait_s=10)
    assert code == "NotReady"
    assert status == {"ready": False, "draining": True, "running": 1, "queued": 1}
    assert (first, second) == (200, 200)


def test_two_slots_run_two_at_once(serve: Any):
    source = (
        "import threading\nmeet = threading.Barrier(2, timeout=10)\ndef init(): pass\n"
        "def run(data):\n    meet.wait()\n    return 1\n"
    )

    async def scenario(client: Any) -> Any:
        return await asyncio.gather(*(client.ask("POST", "/score") for _ in range(2)))

    assert [reply.status for reply in serve(source, scenario, max_concurrent=2)] == [200, 200]


def test_a_request_whose_time_is_over_while_it_queues_never_reaches_run(serve: Any):
    source = SLOW.replace("def run(data):", "seen = []\ndef run(data):\n    seen.append(data)")

    async def scenario(client: Any) -> Any:
        first = asyncio.ensure_future(client.ask("POST", "/score", b"1"))
        await client.until(lambda: client.service.catalog.running == 1)
        second = await client.ask("POST", "/score", b"2")
        seen = list(sys.modules["score"].seen)
        release()
        await first
        third = await client.ask("POST", "/score", b"3")
        return second.json["code"], seen, list(sys.modules["score"].seen), third.status

    code, before, after, third = serve(source, scenario, timeout_s=0.2, queue_wait_s=10)
    assert code == "ScoringTimeout"
    assert (before, after, third) == (["1"], ["1", "3"], 200)


def test_a_place_given_up_is_free_for_the_next(serve: Any):
    async def scenario(client: Any) -> Any:
        first = asyncio.ensure_future(client.ask("POST", "/score", b"1"))
        await client.until(lambda: client.service.catalog.running == 1)
        refused = await client.ask("POST", "/score", b"2")
        third = asyncio.ensure_future(client.ask("POST", "/score", b"3"))
        await client.until(lambda: client.service.catalog.queued == 1)
        release()
        return refused.status, (await first).status, (await third).status

    assert serve(SLOW, scenario, max_queued=1, queue_wait_s=0.1) == (503, 200, 200)
