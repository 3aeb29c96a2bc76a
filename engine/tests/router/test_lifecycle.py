from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from modelyard.api import UserError
from modelyard.processes import ProcessRef, alive, signal_process, spawn_detached
from modelyard.router import memory
from modelyard.router.memory import SERVING, ParentState

from engine.tests.router.conftest import Rig, eventually, service

pytestmark = pytest.mark.e2e
SCORE = "/api/v1/service/a/score"
HOLD = "/api/v1/service/a/v2/hold"


def state(rig: Rig) -> ParentState:
    known = memory.read_state(rig.home.router_state)
    assert known is not None
    return known


def serves(rig: Rig) -> bool:
    try:
        return httpx.get(rig.url + SCORE, timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def start(rig: Rig) -> None:
    rig.up(service("a", rig.replica().address))
    eventually(lambda: rig.process.status.phase == SERVING)


@contextmanager
def load(rig: Rig) -> Iterator[Counter[str]]:
    """Keep-alive clients that never pause; counts every outcome."""
    outcomes: Counter[str] = Counter()
    stop = threading.Event()

    def work() -> None:
        with rig.client() as client:
            while not stop.is_set():
                try:
                    outcomes[str(client.post(SCORE, content=b"{}").status_code)] += 1
                except httpx.TransportError as error:
                    outcomes[repr(error)] += 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield outcomes
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def start_and_leave(rig: Rig) -> ProcessRef:
    """Start a router as somebody who is cancelled at once; returns its parent, which has said nothing yet."""

    async def cut() -> ProcessRef:
        starting = asyncio.create_task(rig.process.ensure())
        while (parent := memory.read_unheard(rig.home.router_state)) is None:  # noqa: ASYNC110  a file says it
            await asyncio.sleep(0.001)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return parent

    left: ProcessRef = rig.run(cut())
    return left


def test_a_router_whose_starter_ended_before_it_spoke_is_stopped(own: Rig):
    parent = start_and_leave(own)
    assert alive(parent)
    own.run(own.process.stop())
    assert not alive(parent)


def test_a_router_whose_starter_ended_before_it_spoke_is_adopted(own: Rig):
    parent = start_and_leave(own)
    start(own)
    assert state(own).parent == parent


def test_a_restarted_router_serves_within_five_seconds_though_the_controller_is_dead(own: Rig):
    start(own)
    own.stop_control()
    known = state(own)
    for ref in (known.parent, known.envoy):
        assert ref is not None
        signal_process(ref, signal.SIGKILL)
        eventually(lambda ref=ref: not alive(ref))
    began = time.monotonic()
    own.run(own.process.ensure())
    eventually(lambda: serves(own))
    assert time.monotonic() - began < 5


def test_a_controller_that_comes_back_is_heard_again(own: Rig):
    start(own)
    own.stop_control()
    own.start_control()
    own.publish(service("a", own.replicas[0].address))
    own.publish()
    assert not serves(own)


def test_a_restart_under_load_loses_no_request(own: Rig):
    start(own)
    before = state(own)
    with load(own) as outcomes:
        eventually(lambda: outcomes["200"] > 50)
        own.run(own.process.restart())
        done = outcomes["200"]
        eventually(lambda: outcomes["200"] > done + 50)
        eventually(lambda: before.envoy is not None and not alive(before.envoy), 25)
    assert set(outcomes) == {"200"}
    assert state(own).epoch == before.epoch + 1
    eventually(lambda: not alive(before.parent))


def test_a_request_in_flight_survives_a_restart(own: Rig):
    start(own)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(httpx.get, own.url + HOLD, timeout=20, trust_env=False)
        assert own.replicas[0].holding.wait(10)
        own.run(own.process.restart())
        assert serves(own)
        own.replicas[0].release.set()
        assert held.result().status_code == 200


def test_a_new_parent_takes_over_from_the_envoy_of_a_killed_one(own: Rig):
    start(own)
    before = state(own)
    assert before.envoy is not None
    with load(own) as outcomes:
        eventually(lambda: outcomes["200"] > 20)
        signal_process(before.parent, signal.SIGKILL)
        eventually(lambda: not alive(before.parent))
        own.run(own.process.ensure())
        eventually(lambda: not alive(before.envoy), 25)
    assert set(outcomes) == {"200"}
    own.publish(service("a", own.replicas[0].address), service("new"))


def test_a_dead_envoy_is_started_again(own: Rig):
    start(own)
    before = state(own)
    assert before.envoy is not None
    signal_process(before.envoy, signal.SIGKILL)
    eventually(lambda: state(own).restarts == 1 and serves(own))
    assert state(own).parent == before.parent
    own.run(own.process.restart())
    assert serves(own)


def test_requests_in_flight_are_finished_before_the_router_stops(own: Rig):
    start(own)
    before = state(own)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(httpx.get, own.url + HOLD, timeout=20, trust_env=False)
        assert own.replicas[0].holding.wait(10)
        signal_process(before.parent, signal.SIGTERM)
        eventually(lambda: not serves(own))
        own.replicas[0].release.set()
        assert held.result().status_code == 200
    eventually(lambda: not alive(before.parent) and before.envoy is not None and not alive(before.envoy))


def test_stopping_is_done_once_everything_is_gone_and_may_be_repeated(own: Rig):
    start(own)
    before = state(own)
    own.run(own.process.stop())
    assert not alive(before.parent)
    assert before.envoy is not None
    assert not alive(before.envoy)
    assert own.process.status.pid is None
    own.run(own.process.stop())


def test_a_running_router_is_adopted(own: Rig):
    start(own)
    before = state(own)
    own.run(own.process.ensure())
    assert state(own).parent == before.parent


def test_two_controllers_that_ensure_at_once_get_one_router(own: Rig):
    async def twice() -> None:
        await asyncio.gather(own.process.ensure(), own.process.ensure())

    own.xds.publish(own.state())
    own.run(twice())
    log = (own.home.logs / "router.log").read_text()
    assert log.count("Address already in use") == 0
    assert own.process.status.pid == state(own).parent.pid


def test_a_port_in_use_is_said_before_anything_is_started(own: Rig):
    with (
        socket.create_server(("127.0.0.1", own.settings.port)),
        pytest.raises(UserError, match="is in use by"),
    ):
        own.run(own.process.ensure())
    assert memory.read_state(own.home.router_state) is None


def test_a_pid_that_belongs_to_somebody_else_now_is_not_adopted(own: Rig):
    stranger = spawn_detached(["/bin/sleep", "60"], cwd=own.root, env={}, log=own.root / "log")
    try:
        old = ParentState(parent=type(stranger)(stranger.pid, stranger.start_ticks - 1), phase=SERVING)
        memory.write_state(own.home.router_state, old)
        start(own)
        assert state(own).parent.pid != stranger.pid
        assert alive(stranger)
    finally:
        signal_process(stranger, signal.SIGKILL)


def test_a_line_with_a_spoilt_snapshot_waits_for_the_controller(own: Rig):
    start(own)
    own.run(own.process.stop())
    (own.home.router_state / memory.SNAPSHOT_FILE).write_text("spoilt")
    own.run(own.process.ensure())
    eventually(lambda: serves(own))


def test_an_envoy_nobody_wrote_down_is_replaced(own: Rig):
    start(own)
    before = state(own)
    assert before.envoy is not None
    signal_process(before.parent, signal.SIGKILL)
    eventually(lambda: not alive(before.parent))
    (own.home.router_state / memory.STATE_FILE).unlink()
    own.run(own.process.ensure())
    eventually(lambda: serves(own))
    assert not alive(before.envoy)


def test_a_disk_that_takes_nothing_costs_no_request(own: Rig):
    start(own)
    for name in (memory.SNAPSHOT_FILE, memory.STATE_FILE):
        (own.home.router_state / name).unlink()
        (own.home.router_state / name).mkdir()
    own.publish(service("a", own.replicas[0].address), service("b"))
    assert serves(own)
