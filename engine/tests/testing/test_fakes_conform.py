"""The fakes keep the promises of what they stand in for, judged by our own suites."""

from __future__ import annotations

import asyncio

import pytest
from modelyard.api import (
    CodeRef,
    Device,
    DeviceGrant,
    DeviceHealth,
    ReplicaPhase,
    ReplicaPlan,
    ServiceSpec,
    Workload,
)
from modelyard.testing import (
    DeviceBackendConformance,
    FakeDeviceBackend,
    FakePlace,
    FakeTarget,
    InMemoryRegistry,
    RegistryConformance,
    TargetConformance,
)

REPLICA = "digits-r1-abc123"


class TestInMemoryRegistry(RegistryConformance):
    @pytest.fixture
    def registry(self):
        return InMemoryRegistry()


class TestFakeDeviceBackend(DeviceBackendConformance):
    @pytest.fixture
    def backend(self):
        bad = Device(id="fake-1", kind="fake", health=DeviceHealth.UNHEALTHY, reason="lost")
        return FakeDeviceBackend((bad, Device(id="fake-2", kind="fake", health=DeviceHealth.HEALTHY)))


class TestFakeDeviceBackendWithoutDevices(DeviceBackendConformance):
    @pytest.fixture
    def backend(self):
        return FakeDeviceBackend()


class TestFakeTarget(TargetConformance):
    deadline_seconds = 2.0

    @pytest.fixture
    def place(self):
        return FakePlace()

    @pytest.fixture
    def target(self, place: FakePlace):
        return FakeTarget(place)

    @pytest.fixture
    def reopen(self, place: FakePlace):
        return lambda: FakeTarget(place)

    @pytest.fixture
    def workload(self):
        plan = ReplicaPlan(id=REPLICA, node="fake", grant=DeviceGrant(backend="cpu"))
        spec = ServiceSpec(name="digits", code=CodeRef(source="/code", entry="score.py"))
        return Workload(
            spec=spec, revision=1, environment="/env", code_dir="/code", model_dir="", replicas=(plan,)
        )

    def test_a_replica_stays_starting_until_it_is_let_go(
        self, place: FakePlace, target: FakeTarget, workload: Workload
    ):
        place.immediately_ready = False
        asyncio.run(target.apply(workload))
        assert place.replicas[REPLICA].phase is ReplicaPhase.STARTING
        place.set_ready(REPLICA)
        assert place.replicas[REPLICA].phase is ReplicaPhase.READY

    def test_a_failed_replica_is_started_again_by_the_next_apply(
        self, place: FakePlace, target: FakeTarget, workload: Workload
    ):
        asyncio.run(target.apply(workload))
        place.fail(REPLICA, "killed: memory limit", "raise memory_limit")
        assert place.replicas[REPLICA].cause == "killed: memory limit"
        asyncio.run(target.apply(workload))
        assert place.replicas[REPLICA].phase is ReplicaPhase.READY
        assert place.replicas[REPLICA].restarts == 1
