"""A controller that dies anywhere is followed by one that goes on or rolls back; what served, serves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from modelyard.api import OperationState, ServiceState, StoreDamaged, SystemError_, UserError
from modelyard.control import STEPS
from modelyard.controller import failpoints

Machine = Any  # test folders are no packages: the fixture's class cannot be imported

POINTS = [f"deploy.{step}{moment}" for step in STEPS for moment in ("", ".done")]
NEW = "def run(d): return 2\n"


class Crash:
    """Stands in for kill -9 inside one process: the point is reached and nothing ever follows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
        self.reached = False
        self._point = point
        monkeypatch.setattr(failpoints, "reach", self._reach)

    def _reach(self, point: str) -> None:
        if point == self._point and not self.reached:
            self.reached = True
            # close() cancels the operation's task as well; what counts is what the store has by now
            raise asyncio.CancelledError


async def crash_at(machine: Machine, monkeypatch: pytest.MonkeyPatch, point: str) -> set[str]:
    """Deploy a second version, die at the point; gives the replicas of the first."""
    engine = await machine.open()
    await machine.finish(engine, await engine.deploy(machine.spec()))
    old = machine.endpoints()
    crash = Crash(monkeypatch, point)
    monkeypatch.setattr(engine._crew.operations, "_attempt", _die(engine._crew.operations))
    await engine.deploy(machine.spec(code=NEW))
    await machine.eventually(lambda: crash.reached)
    await engine.close()
    return old


def _die(operations: Any) -> Any:
    async def attempt(run: Any, work: Any) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.ensure_future(work)
        await asyncio.Event().wait()  # dead: never tells an end
        raise AssertionError((operations, run))

    return attempt


@pytest.mark.parametrize("point", POINTS)
def test_a_deploy_interrupted_anywhere_is_finished_by_the_next_controller(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, point: str
):
    async def scenario() -> None:
        old = await crash_at(machine, monkeypatch, point)
        assert set(machine.place.replicas), "nobody is left to serve"
        served = len(machine.states)
        async with machine.engine() as engine:
            operation = engine.service("digits").operation
            done = await machine.finish(engine, operation)
            assert done.state is OperationState.SUCCEEDED
            view = engine.service("digits")
            assert (view.revision, view.state) == (2, ServiceState.HEALTHY)
            assert not machine.endpoints() & old
            assert set(machine.place.replicas) == machine.endpoints()
        for state in machine.states[served - 1 :]:
            assert any(not one.draining for one in state.services[0].endpoints)

    asyncio.run(scenario())


@pytest.mark.parametrize("point", POINTS[2 : POINTS.index("deploy.drain")])
def test_an_interrupted_deploy_whose_files_vanished_is_rolled_back(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, point: str
):
    async def scenario() -> None:
        old = await crash_at(machine, monkeypatch, point)
        shutil.rmtree(machine.folder / "digits")
        for tree in list(machine.home.snapshots.iterdir()):
            tree.rmdir()
        async with machine.engine() as engine:
            done = await machine.finish(engine, engine.service("digits").operation)
            assert done.state is OperationState.FAILED
            assert "vanished" in done.error
            assert set(machine.place.replicas) == old == machine.endpoints()
            assert engine.service("digits").revision == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("point", POINTS[: POINTS.index("deploy.drain")])
def test_an_error_anywhere_before_the_hand_over_leaves_the_old_version(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, point: str
):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec()))
            old = machine.endpoints()
            monkeypatch.setenv(failpoints.VARIABLE, f"{point}:error")
            done = await machine.finish(engine, await engine.deploy(machine.spec(code=NEW)))
            assert (done.state, done.error) == (OperationState.FAILED, f"failpoint {point}")
            assert set(machine.place.replicas) == old == machine.endpoints()

    asyncio.run(scenario())


@pytest.mark.parametrize("point", ["delete.drain", "delete.remove", "delete.remove.done"])
def test_an_interrupted_delete_is_finished(machine: Machine, monkeypatch: pytest.MonkeyPatch, point: str):
    async def scenario() -> None:
        engine = await machine.open()
        await machine.finish(engine, await engine.deploy(machine.spec()))
        crash = Crash(monkeypatch, point)
        monkeypatch.setattr(engine._crew.operations, "_attempt", _die(engine._crew.operations))
        operation = await engine.delete("digits")
        await machine.eventually(lambda: crash.reached)
        await engine.close()
        async with machine.engine() as engine:
            done = await machine.finish(engine, engine.operation(operation.id))
            assert done.state is OperationState.SUCCEEDED
            assert engine.services() == ()
            assert machine.place.replicas == {}

    asyncio.run(scenario())


def test_an_undoing_that_was_interrupted_is_finished_and_keeps_its_cause(machine: Machine):
    async def scenario() -> None:
        engine = await machine.open()
        await machine.finish(engine, await engine.deploy(machine.spec()))
        old = machine.endpoints()
        machine.place.immediately_ready = False
        operation = await engine.deploy(machine.spec(code=NEW))
        await machine.eventually(lambda: len(machine.place.replicas) == 2)
        (new,) = set(machine.place.replicas) - old
        gate = asyncio.Event()

        async def never(grants: Any) -> list[str]:
            await engine._crew.removing.mark([one.replica for one in grants])
            gate.set()
            return list(await asyncio.Event().wait() and ())

        engine._crew.removing.remove = never
        machine.place.fail(new, "init() raised")
        await gate.wait()
        await engine.close()
        async with machine.engine() as engine:
            done = await machine.finish(engine, engine.operation(operation.id))
            assert (done.state, done.error) == (OperationState.FAILED, "init() raised")
            assert set(machine.place.replicas) == old

    asyncio.run(scenario())


def test_running_replicas_are_adopted_before_the_router_hears_a_word(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec()))
        before = machine.endpoints()
        machine.states.clear()
        async with machine.engine():
            assert [e.replica for e in machine.states[0].services[0].endpoints] == sorted(before)
            assert machine.place.deleted == []

    asyncio.run(scenario())


def test_while_its_target_is_gone_a_service_is_routed_to_where_it_was(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec()))
            await machine.eventually(lambda: engine._memory.grants_of("digits")[0].address)
        before = machine.endpoints()
        machine.states.clear()
        async with machine.engine(machine.host(offer_targets=[])) as engine:
            assert machine.endpoints() == before
            view = engine.service("digits")
            assert "no active plugin offers the target 'fake'" in view.message

    asyncio.run(scenario())


def test_a_damaged_store_stops_the_start_and_touches_nothing(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec()))
        machine.home.store_file.write_bytes(b"damaged" * 1000)
        running, told = dict(machine.place.replicas), len(machine.states)
        with pytest.raises(StoreDamaged, match="keeps serving"):
            await machine.open()
        assert machine.place.replicas == running
        assert len(machine.states) == told

    asyncio.run(scenario())


def test_replicas_of_a_service_the_store_forgot_are_left_alone_and_shown(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec()))
        for file in machine.home.state.glob("store.sqlite3*"):
            file.unlink()
        running = set(machine.place.replicas)
        async with machine.engine() as engine:
            await asyncio.sleep(0.05)
            findings = [one for one in await engine.doctor() if one.subject == "replicas"]
            assert next(iter(running)) in findings[0].message
            assert set(machine.place.replicas) == running

    asyncio.run(scenario())


def test_a_taken_port_stops_the_start_with_its_name(machine: Machine):
    machine.router.trouble = UserError("port 8484 is taken", remedy="choose another")
    with pytest.raises(UserError, match="8484"):
        asyncio.run(machine.open())


CHILD = """
import asyncio, sys
from pathlib import Path
from modelyard.api import CodeRef, DeviceGrant, Operation, OperationKind, OperationState, ServiceSpec
from modelyard.controller import failpoints
from modelyard.store import GrantRecord, OperationRecord, Store
async def main():
    store = await Store.open(Path(sys.argv[1]))
    operation = Operation(id='op', service='s', kind=OperationKind.DEPLOY, state=OperationState.RUNNING, revision=1)
    await store.save(OperationRecord(operation, step='start'))
    failpoints.reach('deploy.start')
    raise SystemExit('survived')
asyncio.run(main())
"""


def test_the_kill_failpoint_kills_for_real_and_the_step_before_it_is_on_disk(tmp_path: Path):
    path = tmp_path / "store.sqlite3"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)],
        env={**os.environ, failpoints.VARIABLE: "deploy.start:kill"},
        check=False,
        timeout=30,
    )
    assert done.returncode == -signal.SIGKILL
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (body,) = connection.execute("SELECT body FROM operations").fetchone()
    assert '"step": "start"' in body


def test_a_failpoint_that_is_not_set_does_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(failpoints.VARIABLE, raising=False)
    failpoints.reach("deploy.start")
    monkeypatch.setenv(failpoints.VARIABLE, "deploy.start:error")
    failpoints.reach("deploy.ready")
    with pytest.raises(SystemError_):
        failpoints.reach("deploy.start")
