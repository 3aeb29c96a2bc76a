"""Keys, scaling, healing, deleting, looking."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import Any

import attrs
import pytest
from modelyard.api import (
    Conflict,
    Deleted,
    DeviceHealth,
    EngineImageOrder,
    Maturity,
    NotFound,
    OperationState,
    Replica,
    ReplicaFailed,
    Scaled,
    ScalingDecision,
    ScalingObservation,
    ScalingSpec,
    Secret,
    ServiceState,
    Severity,
    Unavailable,
    UserError,
)
from modelyard.controller.ending import stop_all
from modelyard.testing import FakeTarget

Machine = Any  # test folders are no packages: the fixture's class cannot be imported


def of_kind(machine: Machine, kind: type) -> list[Any]:
    return [one for one in machine.events if isinstance(one, kind)]


async def deployed(machine: Machine, engine: Any, **fields: Any) -> None:
    done = await machine.finish(engine, await engine.deploy(machine.spec(**fields)))
    assert done.state is OperationState.SUCCEEDED


def test_a_rotated_key_is_live_on_the_router_when_the_call_returns(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine)
            before = engine.keys("digits")
            after = await engine.rotate_key("digits", "primary", Secret("x" * 40))
            assert after.primary.reveal() == "x" * 40
            assert after.secondary == before.secondary
            digests = machine.states[-1].services[0].auth.digests
            assert digests[hashlib.sha256(b"x" * 40).hexdigest()] == "primary"
            assert hashlib.sha256(before.primary.reveal().encode()).hexdigest() not in digests
            assert engine.keys("digits") == after

    asyncio.run(scenario())


def test_keys_survive_a_new_deploy_and_a_restart(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine)
            keys = engine.keys("digits")
            await deployed(machine, engine, code="def run(d): return 2\n")
            assert engine.keys("digits") == keys
        async with machine.engine() as engine:
            assert engine.keys("digits") == keys
            assert len(machine.states[-1].services[0].auth.digests) == 2

    asyncio.run(scenario())


def test_a_service_whose_authenticator_is_gone_lets_nobody_in(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine)
        async with machine.engine(machine.host(offer_authenticators=[])) as engine:
            auth = machine.states[-1].services[0].auth
            assert (auth.mode, dict(auth.digests)) == ("key", {})
            assert "every request is refused" in engine.service("digits").message

    asyncio.run(scenario())


def test_a_service_without_auth_has_no_keys(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine, auth="none")
            assert machine.states[-1].services[0].auth.mode == "none"
            with pytest.raises(NotFound, match="no keys"):
                engine.keys("digits")

    asyncio.run(scenario())


def test_load_scales_up_to_the_maximum_within_seconds_and_the_decision_is_kept(machine: Machine):
    async def scenario() -> None:
        spec = {"scaling": ScalingSpec(minimum=1, maximum=4, refresh_seconds=0.25)}
        async with machine.engine() as engine:
            await deployed(machine, engine, **spec)
            (only,) = machine.endpoints()
            machine.load["digits"] = {machine.place.replicas[only].address: 20}
            await machine.eventually(lambda: len(machine.endpoints()) == 4)
            record = engine.scaling("digits")[-1]
            assert record.wanted == 4
            assert "4 needed (the maximum)" in record.reason
            assert of_kind(machine, Scaled)[-1].after == 4
            assert engine.service("digits").in_flight > 1

    asyncio.run(scenario())


@attrs.frozen
class Ponderer:
    """Wants the maximum it was told of, and takes until `go` to say so."""

    name: str = "ponderer"
    maturity: Maturity = Maturity.BETA
    asked: threading.Event = attrs.field(factory=threading.Event)
    go: threading.Event = attrs.field(factory=threading.Event)

    def desired(self, observation: ScalingObservation) -> ScalingDecision:
        self.asked.set()
        self.go.wait(10)
        return ScalingDecision(observation.limits.maximum, "as many as may be", 100.0)


def test_a_decision_is_held_within_bounds_that_were_set_while_the_scaler_thought(machine: Machine):
    async def scenario() -> None:
        ponderer = Ponderer()
        spec = {"scaling": ScalingSpec(minimum=1, maximum=4, refresh_seconds=0.25, scaler="ponderer")}
        async with machine.engine(machine.host(offer_scalers=[ponderer])) as engine:
            await deployed(machine, engine, **spec)
            await machine.eventually(ponderer.asked.is_set)
            await machine.finish(engine, await engine.scale("digits", maximum=2))
            ponderer.go.set()
            await machine.eventually(lambda: engine.scaling("digits"))
            assert engine.scaling("digits")[0].wanted == 2

    asyncio.run(scenario())


def test_calm_scales_down_by_drains_and_never_below_the_minimum(machine: Machine):
    async def scenario() -> None:
        machine.calm_seconds = 0.3
        spec = {"scaling": ScalingSpec(minimum=1, maximum=3, refresh_seconds=0.25)}
        async with machine.engine() as engine:
            await deployed(machine, engine, **spec)
            (only,) = machine.endpoints()
            machine.load["digits"] = {machine.place.replicas[only].address: 20}
            await machine.eventually(lambda: len(machine.endpoints()) == 3)
            machine.load["digits"] = {}
            await machine.eventually(lambda: len(machine.place.replicas) == 1)
            assert len(machine.endpoints()) == 1
            assert [one.wanted for one in engine.scaling("digits")] == [3, 1]

    asyncio.run(scenario())


def test_scaling_decisions_survive_a_restart(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine)
            await machine.finish(engine, await engine.scale("digits", replicas=2))
        async with machine.engine() as engine:
            assert engine.scaling("digits")[-1].reason == "bounds set to 2..2 by hand"
            assert engine.service("digits").replicas_wanted == 2

    asyncio.run(scenario())


def test_senseless_bounds_are_refused_and_a_deploy_forgets_those_set_by_hand(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine)
            with pytest.raises(UserError):
                await engine.scale("digits", replicas=0)
            await machine.finish(engine, await engine.scale("digits", minimum=2, maximum=2))
            plan = await engine.plan(machine.spec())
            assert any(one.startswith("scaling") for one in plan.changes)
            await deployed(machine, engine)
            assert (await engine.plan(machine.spec())).changes == ()

    asyncio.run(scenario())


def test_a_replica_that_vanished_is_replaced(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine)
            (only,) = machine.endpoints()
            machine.place.vanish(only)
            await machine.eventually(lambda: not machine.endpoints())
            await machine.eventually(lambda: machine.endpoints() == {only})
            assert engine.service("digits").state is ServiceState.HEALTHY

    asyncio.run(scenario())


def test_a_death_is_told_once_and_takes_the_replica_off_the_router_at_once(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine, scaling=ScalingSpec(minimum=2, maximum=2))
            victim, other = sorted(machine.endpoints())
            machine.place.immediately_ready = False
            machine.place.fail(victim, "killed: memory limit", "raise resources.limits.memory")
            await machine.eventually(lambda: machine.endpoints() == {other})
            await machine.eventually(lambda: of_kind(machine, ReplicaFailed))
            view = engine.service("digits")
            assert view.state is ServiceState.UNHEALTHY
            await asyncio.sleep(0.1)
            assert [one.cause for one in of_kind(machine, ReplicaFailed)] == ["killed: memory limit"]

    asyncio.run(scenario())


def test_a_service_without_room_for_all_its_replicas_says_so_and_keeps_those_it_has(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine)
            machine.devices.devices = machine.devices.devices[:2]
            operation = await engine.scale("digits", replicas=3)
            await machine.eventually(lambda: "1 asked, 0 free" in engine.service("digits").message)
            assert len(machine.endpoints()) >= 1
            machine.devices.devices = (
                *machine.devices.devices,
                attrs.evolve(machine.devices.devices[0], id="x"),
            )
            done = await machine.finish(engine, operation)
            assert done.state is OperationState.SUCCEEDED

    asyncio.run(scenario())


def test_no_device_is_granted_twice(machine: Machine):
    async def scenario() -> None:
        machine.devices.devices = machine.devices.devices[:4]
        async with machine.engine() as engine:
            two = ScalingSpec(minimum=2, maximum=2)
            first, second = machine.spec("one", scaling=two), machine.spec("two", scaling=two)
            operations = [await engine.deploy(first), await engine.deploy(second)]
            for operation in operations:
                assert (await machine.finish(engine, operation)).state is OperationState.SUCCEEDED
            granted = [d for one in machine.place.replicas.values() for d in one.device_ids]
            assert len(granted) == len(set(granted)) == 4

    asyncio.run(scenario())


def test_delete_removes_all_there_is_of_a_service_and_nothing_of_its_neighbour(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine)
            await deployed(machine, engine, name="digits-r1", code="def run(d): return 3\n")
            logs = machine.home.logs / "replicas"
            for name in ("digits-r1-abc123", "digits-r1-r1-abc123"):
                (logs / name).mkdir(parents=True)
            done = await machine.finish(engine, await engine.delete("digits"))
            assert done.state is OperationState.SUCCEEDED
            assert [one.name for one in engine.services()] == ["digits-r1"]
            assert {one.service for one in machine.place.replicas.values()} == {"digits-r1"}
            assert [one.name for one in machine.states[-1].services] == ["digits-r1"]
            assert [one.name for one in machine.home.keys.iterdir()] == ["digits-r1.json"]
            assert [one.name for one in logs.iterdir()] == ["digits-r1-r1-abc123"]
            assert len(list(machine.home.snapshots.iterdir())) == 1
            assert of_kind(machine, Deleted)[0].service == "digits"
            with pytest.raises(NotFound, match="services: digits-r1"):
                engine.service("digits")
            await deployed(machine, engine)

    asyncio.run(scenario())


def test_a_delete_cannot_be_cancelled(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine)
            (only,) = machine.endpoints()
            machine.load["digits"] = {machine.place.replicas[only].address: 1}
            operation = await engine.delete("digits")
            with pytest.raises(Conflict):
                await engine.cancel(operation.id)
            await machine.eventually(lambda: only in machine.draining())
            assert engine.service("digits").state is ServiceState.DELETING
            machine.load.clear()
            await machine.finish(engine, operation)

    asyncio.run(scenario())


def test_logs_of_several_replicas_say_whose_line_it_is(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine, scaling=ScalingSpec(minimum=2, maximum=2))
            names = sorted(machine.endpoints())
            lines = [line async for line in engine.logs("digits", lines=5)]
            assert sorted(lines) == [f"[{name}] {name} started" for name in names]
            one = [line async for line in engine.logs("digits", replica=names[0])]
            assert one == [f"{names[0]} started"]
            with pytest.raises(NotFound, match="no replica"):
                [line async for line in engine.logs("digits", replica="digits-r9-zzzzzz")]

    asyncio.run(scenario())


def test_a_failing_check_is_a_finding_and_the_others_still_run(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            findings = {one.check: one for one in await engine.doctor()}
            assert findings["fine"].severity is Severity.OK
            assert findings["grumpy"].severity is Severity.ERROR
            assert "'all'" in findings["grumpy"].message

    asyncio.run(scenario())


def test_a_device_backend_that_fails_is_shown_as_unknown(machine: Machine):
    class Broken:
        name, kind, maturity = "cpu", "cpu", machine.devices.maturity

        def discover(self) -> tuple[()]:
            return ()

        def health(self) -> tuple[()]:
            raise OSError("no sysfs")

        def request(self, request: object, in_use: object) -> object:
            raise AssertionError((request, in_use))

    async def scenario() -> None:
        async with machine.engine(machine.host(offer_devices=[Broken()])) as engine:
            (device,) = await engine.devices()
            assert device.health is DeviceHealth.UNKNOWN
            assert "no sysfs" in device.reason

    asyncio.run(scenario())


def test_status_tells_of_router_and_services_and_a_dead_router_comes_back(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine)
            status = engine.status()
            assert (status.services, status.router.connected, status.router.pid) == (1, True, 4711)
            machine.router.pid = None
            await machine.eventually(lambda: engine.status().router.pid == 4711)

    asyncio.run(scenario())


def test_closing_leaves_everything_running_unless_told_otherwise(machine: Machine):
    async def scenario() -> None:
        engine = await machine.open()
        await deployed(machine, engine)
        await engine.close()
        assert len(machine.place.replicas) == 1
        assert machine.router.pid == 4711
        engine = await machine.open()
        await engine.close(stop_replicas=True, stop_router=True)
        assert machine.place.replicas == {}
        assert machine.router.pid is None

    asyncio.run(scenario())


def test_a_target_that_cannot_be_asked_is_passed_over_when_replicas_are_stopped(
    caplog: pytest.LogCaptureFixture,
):
    class Down(FakeTarget):
        async def observe(self) -> tuple[Replica, ...]:
            raise Unavailable("nobody answers")

    asyncio.run(stop_all([Down()]))
    assert "nobody answers" in caplog.text


def test_a_target_that_raises_costs_nobody_else_anything(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            await deployed(machine, engine)
            before = machine.endpoints()
            target = engine._crew.host.targets["fake"]

            async def broken() -> tuple[()]:
                raise RuntimeError("API gone")

            engine._crew.fleet._host = type("Host", (), {"targets": {"fake": _with(target, broken)}})()
            await machine.eventually(lambda: "API gone" in engine.service("digits").message)
            assert machine.endpoints() == before

    asyncio.run(scenario())


def _with(target: Any, observe: Any) -> Any:
    return type("Target", (), {"observe": staticmethod(observe), "delete": target.delete})()


def test_the_engines_own_image_is_built_while_everything_else_goes_on(machine: Machine):
    async def scenario() -> None:
        async with machine.engine() as engine:
            lines = [line.message async for line in engine.build_engine_image(EngineImageOrder(tag="edge"))]
            assert lines == ["building edge"]

    asyncio.run(scenario())
