"""Roll-outs: the happy way, the failures, conflicts, cancels, rollbacks."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest
from modelyard.api import (
    Conflict,
    Deployed,
    EnvironmentSpec,
    EnvironmentUnsolvable,
    NotFound,
    OperationState,
    Planned,
    Refused,
    ReplicaPhase,
    RequestSpec,
    ScalingSpec,
    ServiceState,
)
from modelyard.control import STEPS

Machine = Any  # test folders are no packages: the fixture's class cannot be imported
TWO = ScalingSpec(minimum=2, maximum=4)


def test_a_deploy_walks_every_step_and_serves(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            done = await machine.finish(engine, await engine.deploy(machine.spec(scaling=TWO)))
            assert done.state is OperationState.SUCCEEDED
            assert tuple(one.name for one in done.steps) == STEPS
            assert all(one.state is OperationState.SUCCEEDED for one in done.steps)
            view = engine.service("digits")
            assert (view.state, view.revision, view.replicas_wanted) == (ServiceState.HEALTHY, 1, 2)
            assert machine.endpoints() == {one.id for one in view.replicas}
            assert view.revisions[0].outcome == "serving"
            assert view.url == "http://127.0.0.1:8484/api/v1/service/digits/score"
            routed = machine.states[-1].services[0]
            assert (routed.auth.mode, len(routed.auth.digests)) == ("key", 2)
            assert [type(one) for one in machine.events] == [Planned, Deployed]

    asyncio.run(scenario())


def test_a_second_deploy_replaces_the_first_without_a_moment_of_nobody(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec(scaling=TWO)))
            first = machine.endpoints()
            served = len(machine.states)
            done = await machine.finish(
                engine, await engine.deploy(machine.spec(code="def run(d): return 2\n", scaling=TWO))
            )
            assert (done.state, done.revision) == (OperationState.SUCCEEDED, 2)
            second = machine.endpoints()
            assert second
            assert not first & second
            assert set(machine.place.replicas) == second
            for state in machine.states[served - 1 :]:
                assert any(not one.draining for one in state.services[0].endpoints)
            outcomes = [one.outcome for one in engine.service("digits").revisions]
            assert outcomes == ["superseded", "serving"]

    asyncio.run(scenario())


def test_an_old_replica_with_a_request_in_flight_is_stopped_only_when_it_is_idle(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec()))
            (old,) = machine.endpoints()
            address = machine.place.replicas[old].address
            machine.load["digits"] = {address: 1}
            operation = await engine.deploy(machine.spec(code="x = 1\ndef run(d): return 2\n"))
            await machine.eventually(lambda: old in machine.draining())
            await asyncio.sleep(0.1)
            assert machine.place.replicas[old].phase is ReplicaPhase.READY, "told before the router is idle"
            machine.place.change(old, in_flight=1)
            machine.load["digits"] = {}
            await machine.eventually(lambda: machine.place.replicas[old].phase is ReplicaPhase.DRAINING)
            await asyncio.sleep(0.1)
            assert old in machine.place.replicas
            machine.place.change(old, in_flight=0)
            done = await machine.finish(engine, operation)
            assert done.state is OperationState.SUCCEEDED
            assert old not in machine.place.replicas

    asyncio.run(scenario())


def test_an_unchanged_deploy_finishes_at_once_and_says_so(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec()))
            before = set(machine.place.replicas)
            again = await engine.deploy(machine.spec())
            assert again.finished
            assert "nothing differs from revision 1" in str(again.result["message"])
            assert set(machine.place.replicas) == before

    asyncio.run(scenario())


def test_a_failed_start_leaves_the_old_version_untouched_and_names_the_cause(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec()))
            old = machine.endpoints()
            machine.place.immediately_ready = False
            operation = await engine.deploy(machine.spec(code="def init(): raise ValueError\n"))
            await machine.eventually(lambda: len(machine.place.replicas) == 2)
            (new,) = set(machine.place.replicas) - old
            machine.place.fail(new, "init() raised ValueError: no", "mend score.py")
            done = await machine.finish(engine, operation)
            assert done.state is OperationState.FAILED
            assert (done.error, done.remedy) == ("init() raised ValueError: no", "mend score.py")
            assert set(machine.place.replicas) == old == machine.endpoints()
            view = engine.service("digits")
            assert (view.state, view.revision) == (ServiceState.HEALTHY, 1)
            assert (view.revisions[-1].outcome, view.revisions[-1].cause) == ("failed", done.error)

    asyncio.run(scenario())


def test_a_first_deploy_that_fails_shows_why_and_can_be_mended(machine: Machine):
    async def scenario() -> None:
        machine.artifacts.build_error = EnvironmentUnsolvable("numpy==1 meets numpy>=2", remedy="loosen")
        async with machine.engine() as engine:
            done = await machine.finish(engine, await engine.deploy(machine.spec()))
            assert (done.state, done.error_code) == (OperationState.FAILED, "environment_unsolvable")
            view = engine.service("digits")
            assert (view.state, view.message, view.remedy) == (
                ServiceState.FAILED,
                "numpy==1 meets numpy>=2",
                "loosen",
            )
            machine.artifacts.build_error = None
            done = await machine.finish(engine, await engine.deploy(machine.spec()))
            assert (done.state, done.revision) == (OperationState.SUCCEEDED, 2)

    asyncio.run(scenario())


def test_a_refusing_router_fails_the_roll_out_and_the_old_one_goes_on(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec()))
            old = machine.endpoints()
            machine.nack = "bad route"
            done = await machine.finish(
                engine,
                await engine.deploy(
                    machine.spec(code="def run(d): return 2\n", request=RequestSpec(timeout_seconds=0.1))
                ),
            )
            assert done.state is OperationState.FAILED
            assert "bad route" in done.error
            assert set(machine.place.replicas) >= old

    asyncio.run(scenario())


def test_two_deploys_at_once_give_the_second_a_conflict_that_names_the_first(machine: Machine):
    async def scenario() -> None:
        machine.artifacts.build_gate = asyncio.Event()
        async with machine.engine() as engine:
            first = await engine.deploy(machine.spec())
            with pytest.raises(Conflict) as caught:
                await engine.deploy(machine.spec(code="def run(d): return 2\n"))
            assert first.id in caught.value.message
            assert "revision 1" in caught.value.message
            with pytest.raises(Conflict):
                await engine.delete("digits")
            machine.artifacts.build_gate.set()
            assert (await machine.finish(engine, first)).state is OperationState.SUCCEEDED

    asyncio.run(scenario())


def test_of_two_deploys_in_the_same_moment_exactly_one_wins(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            spec = machine.spec()
            both = await asyncio.gather(engine.deploy(spec), engine.deploy(spec), return_exceptions=True)
            assert sorted(type(one).__name__ for one in both) == ["Conflict", "Operation"]

    asyncio.run(scenario())


def test_a_cancelled_deploy_takes_its_replicas_back(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec()))
            old = machine.endpoints()
            machine.place.immediately_ready = False
            operation = await engine.deploy(machine.spec(code="def run(d): return 2\n"))
            await machine.eventually(lambda: len(machine.place.replicas) == 2)
            done = await engine.cancel(operation.id)
            assert done.state is OperationState.CANCELLED
            assert set(machine.place.replicas) == old
            assert (await engine.cancel(operation.id)).state is OperationState.CANCELLED

    asyncio.run(scenario())


def test_a_deploy_that_already_serves_cannot_be_cancelled(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec()))
            (old,) = machine.endpoints()
            machine.load["digits"] = {machine.place.replicas[old].address: 1}
            operation = await engine.deploy(machine.spec(code="def run(d): return 2\n"))
            await machine.eventually(
                lambda: "drain" in [s.name for s in engine.operation(operation.id).steps]
            )
            with pytest.raises(Conflict, match="no longer"):
                await engine.cancel(operation.id)
            machine.load.clear()
            assert (await machine.finish(engine, operation)).state is OperationState.SUCCEEDED

    asyncio.run(scenario())


def test_a_rollback_brings_the_version_before_back_as_a_new_revision(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec()))
            with pytest.raises(NotFound, match="no earlier"):
                await engine.rollback("digits")
            await machine.finish(engine, await engine.deploy(machine.spec(code="def run(d): return 2\n")))
            done = await machine.finish(engine, await engine.rollback("digits"))
            assert (done.state, done.revision) == (OperationState.SUCCEEDED, 3)
            revisions = engine.service("digits").revisions
            assert revisions[2].code_digest == revisions[0].code_digest != revisions[1].code_digest
            with pytest.raises(NotFound, match="revisions kept: 1, 2, 3"):
                await engine.rollback("digits", 9)

    asyncio.run(scenario())


def test_only_ten_revisions_are_kept_with_the_trees_they_need(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            for number in range(12):
                await machine.finish(
                    engine, await engine.deploy(machine.spec(code=f"def run(d): return {number}\n"))
                )
            kept = [one.number for one in engine.service("digits").revisions]
            assert kept == list(range(3, 13))
            assert len(list(machine.home.snapshots.iterdir())) == 10

    asyncio.run(scenario())


def test_a_new_revision_starts_with_as_many_replicas_as_the_load_has_grown_to(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await machine.finish(engine, await engine.deploy(machine.spec()))
            await machine.finish(engine, await engine.scale("digits", replicas=3))
            done = await machine.finish(
                engine, await engine.deploy(machine.spec(code="def run(d): return 2\n"))
            )
            assert done.state is OperationState.SUCCEEDED
            assert len(machine.endpoints()) == 3

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"target": "kubernetes"}, "unknown_target"),
        ({"auth": "token"}, "unknown_auth"),
        ({"scaling": ScalingSpec(scaler="wise")}, "unknown_scaler"),
    ],
)
def test_what_is_not_installed_is_refused_and_changes_nothing(machine: Machine, changes: Any, code: Any):
    async def scenario() -> None:
        async with machine.engine() as engine:
            with pytest.raises(Refused) as caught:
                await engine.deploy(machine.spec(**changes))
            assert [one.code for one in caught.value.refusals] == [code]
            assert engine.services() == ()

    asyncio.run(scenario())


def test_too_few_devices_refuse_the_plan_with_the_numbers(machine: Machine):
    async def scenario() -> None:
        machine.devices.devices = machine.devices.devices[:1]
        async with machine.engine() as engine:
            plan = await engine.plan(machine.spec(scaling=TWO))
            assert [one.code for one in plan.refusals] == ["cpu_short"]
            assert plan.refusals[0].numbers == {"asked": 1, "free": 0}

    asyncio.run(scenario())


def test_a_plan_says_what_changes_and_why_the_environment_is_built_anew(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            spec = machine.spec()
            plan = await engine.plan(spec)
            assert (plan.revision, plan.included_files, plan.left_out) == (1, 1, ("data/",))
            assert "code" in plan.changes
            assert plan.placements[0].startswith("fake (score")
            await machine.finish(engine, await engine.deploy(spec))
            assert (await engine.plan(spec)).changes == ()
            other = attrs.evolve(spec, environment=EnvironmentSpec(requirements=("scipy==1.2",)))
            plan = await engine.plan(other)
            assert plan.environment_why == "requirements: scipy==1.2"
            assert "environment.requirements" in plan.changes

    asyncio.run(scenario())


def test_a_frozen_deploy_looks_and_builds_frozen_and_a_rollback_to_it_does_too(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            first = await machine.finish(engine, await engine.deploy(machine.spec(), frozen=True))
            await machine.finish(engine, await engine.deploy(machine.spec(code="def run(d): return 2\n")))
            await machine.finish(engine, await engine.rollback("digits"))
            assert first.state is OperationState.SUCCEEDED
            assert [frozen for frozen, _ in machine.artifacts.looked] == [True, False]
            assert machine.artifacts.frozen == [True, False, True]

    asyncio.run(scenario())


def test_a_plan_compares_with_what_services_use_the_newest_first(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            for requirement in ("numpy", "scipy"):
                spec = machine.spec(environment=EnvironmentSpec(requirements=(requirement,)))
                await machine.finish(engine, await engine.deploy(spec))
            await engine.plan(machine.spec())
            newest, oldest = machine.artifacts.looked[-1][1]
            used = [one.environment_key for one in engine.service("digits").revisions]
            assert [oldest, newest] == used

    asyncio.run(scenario())
