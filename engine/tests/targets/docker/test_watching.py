"""Looking at containers: once for all, deeper only where something changed, and never fooled by an older answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from modelyard.api import Replica, ReplicaPhase
from modelyard.containers import Absent, Container, Daemon, Inspected, State
from modelyard.targets.docker import watching
from modelyard.targets.docker.watching import SILENT_SECONDS, Watcher
from modelyard_runtime.contract import ReplicaStatus

from .making import NOW, container, inspected, status


@attrs.define
class Machine:
    """A daemon's containers and what their parents say, to be changed between looks."""

    containers: tuple[Container, ...] = (container(),)
    inspected: Inspected | None = attrs.field(factory=inspected)
    status: ReplicaStatus | None = attrs.field(factory=status)
    now: float = NOW
    looked_into: int = 0

    def watcher(self) -> Watcher:
        return Watcher(Daemon("unix:///nowhere"), clock=lambda: self.now)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()

    async def list_labelled(_daemon: Daemon, _labels: Any) -> tuple[Container, ...]:
        return made.containers

    async def inspect(_daemon: Daemon, _container: str) -> Inspected:
        made.looked_into += 1
        if made.inspected is None:
            raise Absent("gone")
        return made.inspected

    async def status_of(_container: Container, _replica: str) -> ReplicaStatus | None:
        return made.status

    async def tail(_daemon: Daemon, _container: str, _lines: int) -> list[str]:
        return ["first", "last words", " "]

    for name, stand_in in {
        "list_labelled": list_labelled,
        "inspect": inspect,
        "status_of": status_of,
        "tail": tail,
    }.items():
        monkeypatch.setattr(watching, name, stand_in)
    return made


@pytest.fixture
def look(machine: Machine) -> Callable[[], Replica]:
    watcher = machine.watcher()

    def looked() -> Replica:
        (found,) = asyncio.run(watcher.look("0123456789"))
        return found

    return looked


def test_a_container_is_looked_into_once_while_nothing_changes(machine: Machine, look: Callable[[], Replica]):
    for _ in range(10):
        assert look().phase is ReplicaPhase.READY
        machine.now += 60
    assert machine.looked_into == 1


def test_a_parent_that_started_anew_is_looked_into_again(machine: Machine, look: Callable[[], Replica]):
    look()
    machine.status = status(started_at=NOW)
    machine.inspected = inspected(restarts=1)
    assert look().restarts == 1


def test_silence_takes_no_traffic_away_at_once_and_does_so_in_the_end(
    machine: Machine, look: Callable[[], Replica]
):
    machine.status = status(running=3)
    assert look().in_flight == 3
    machine.status = None
    assert (look().phase, look().in_flight) == (ReplicaPhase.READY, 3)
    machine.now += SILENT_SECONDS + 1
    assert (look().phase, look().address) == (ReplicaPhase.FAILED, "")


def test_what_an_older_process_said_is_not_believed_of_its_follower(
    machine: Machine, look: Callable[[], Replica]
):
    look()
    machine.status = None
    machine.now += 1
    machine.inspected = inspected(started_at=machine.now, restarts=1)
    found = look()
    assert (found.phase, found.address, found.in_flight) == (ReplicaPhase.STARTING, "", 1)


def test_one_that_ended_tells_its_last_words(machine: Machine, look: Callable[[], Replica]):
    look()
    machine.containers = (container(State.EXITED),)
    machine.status = None
    machine.inspected = inspected(pid=None, exit_code=3)
    assert look().cause == "replica parent died (exit status 3): last words"


def test_one_that_goes_while_it_is_looked_into_is_stopped(machine: Machine, look: Callable[[], Replica]):
    machine.inspected = None
    assert look().phase is ReplicaPhase.STOPPED


def test_containers_of_others_are_no_replicas(machine: Machine):
    machine.containers = (container(labels={"dev.modelyard.engine": "0123456789"}),)
    assert asyncio.run(machine.watcher().look("0123456789")) == ()
