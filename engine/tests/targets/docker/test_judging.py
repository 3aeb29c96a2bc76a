"""What a container's state means for its replica."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import Replica, ReplicaPhase
from modelyard.containers import Container, State
from modelyard.targets.docker.judging import Facts, replica_of
from modelyard.targets.docker.labels import deleting_name

from .making import IDENTITY, NOW, REPLICA, container, inspected, status

DELETING = deleting_name("0123456789", REPLICA)


def seen(of: Container, **more: Any) -> Replica:
    facts: dict[str, Any] = {
        "identity": IDENTITY,
        "container": of,
        "inspected": inspected(),
        "status": status() if of.state is State.RUNNING else None,
        "answers": of.state is State.RUNNING,
        "now": NOW,
    }
    return replica_of(Facts(**(facts | more)))


def test_a_ready_replica_has_its_containers_address():
    found = seen(container())
    assert (found.phase, found.address, found.pid) == (ReplicaPhase.READY, "10.1.2.3:8080", 7)
    assert (found.service, found.revision, found.node) == ("digits", 1, "here")
    assert (found.device_ids, found.resident_bytes) == (("gpu-1",), 5)


@pytest.mark.parametrize(("phase", "reached"), [("starting", False), ("draining", True), ("failed", False)])
def test_the_runtime_says_the_phase(phase: str, *, reached: bool):
    found = seen(container(), status=status(phase=phase, cause="x", remedy="y"))
    assert (found.phase.value, found.cause, found.remedy) == (phase, "x", "y")
    assert bool(found.address) == reached


def test_restarts_of_the_server_and_of_the_container_are_added():
    assert seen(container(), status=status(restarts=2), inspected=inspected(restarts=3)).restarts == 5


def test_requests_are_what_the_replica_counts():
    assert seen(container(), status=status(running=2, queued=3)).in_flight == 5


@pytest.mark.parametrize(
    "silence",
    [
        {"answers": False},
        {"answers": False, "status": None},
        {"status": status(running=None, queued=None)},
    ],
)
def test_what_is_not_known_is_never_zero(silence: dict[str, Any]):
    assert seen(container(), in_flight_before=0, **silence).in_flight == 1
    assert seen(container(), in_flight_before=4, **silence).in_flight == 4


def test_one_late_answer_takes_no_traffic_away():
    found = seen(container(), answers=False)
    assert (found.phase, found.address) == (ReplicaPhase.READY, "10.1.2.3:8080")


def test_before_its_parent_answers_it_is_starting_and_not_for_ever():
    young = inspected(started_at=NOW - 1)
    assert seen(container(), status=None, answers=False, inspected=young).phase is ReplicaPhase.STARTING
    old = seen(container(), status=None, answers=False, inspected=inspected(started_at=NOW - 60))
    assert (old.phase, old.address) == (ReplicaPhase.FAILED, "")
    assert "does not answer" in old.cause


def test_one_that_is_being_started_is_not_failed_and_one_that_was_forgotten_is():
    young = container(State.CREATED, created_at=NOW - 1)
    assert seen(young).phase is ReplicaPhase.STARTING
    forgotten = seen(container(State.CREATED))
    assert (forgotten.phase, forgotten.cause) == (ReplicaPhase.FAILED, "the replica was never started")
    assert not forgotten.retries


def test_one_that_docker_cannot_start_says_why_at_once():
    found = seen(container(State.CREATED, created_at=NOW), inspected=inspected(error="no such device"))
    assert (found.phase, found.cause) == (ReplicaPhase.FAILED, "Docker cannot start it: no such device")


@pytest.mark.parametrize(
    ("state", "more", "cause", "retries"),
    [
        (State.EXITED, {"exit_code": 137, "killed_for_memory": True}, "killed: memory limit", False),
        (State.EXITED, {"exit_code": 137}, "its container was killed: bye", False),
        (State.EXITED, {"exit_code": 0}, "its container was stopped by hand: bye", False),
        (State.EXITED, {"exit_code": 64}, "replica parent died (exit status 64): bye", False),
        (State.RESTARTING, {"exit_code": 1}, "replica parent died (exit status 1), Docker starts it again: bye", True),
        (State.DEAD, {"exit_code": 1}, "replica parent died (exit status 1): bye", False),
    ],
)  # fmt: skip
def test_an_end_says_its_cause_and_whether_docker_tries_again(
    state: State, more: dict[str, Any], cause: str, *, retries: bool
):
    found = seen(container(state), inspected=inspected(**more), last_words="bye")
    assert (found.phase, found.cause, found.retries) == (ReplicaPhase.FAILED, cause, retries)
    assert found.remedy
    assert (found.pid, found.in_flight, found.address) == (None, 0, "")


def test_a_paused_one_gets_no_traffic_and_may_hold_some():
    found = seen(container(State.PAUSED))
    assert (found.phase, found.address, found.in_flight) == (ReplicaPhase.FAILED, "", 1)
    assert "docker unpause" in found.remedy


def test_one_that_is_being_removed_drains_then_is_stopped():
    assert seen(container(name=DELETING)).phase is ReplicaPhase.DRAINING
    assert seen(container(name=DELETING)).address == "10.1.2.3:8080"
    assert seen(container(State.EXITED, name=DELETING)).phase is ReplicaPhase.STOPPED
    assert seen(container(State.REMOVING)).phase is ReplicaPhase.STOPPED
    assert seen(container(), inspected=None).phase is ReplicaPhase.STOPPED


def test_an_unknown_phase_is_a_failure_that_names_it():
    assert "'levitating'" in seen(container(), status=status(phase="levitating")).cause


@given(
    state=st.sampled_from(State),
    deleting=st.booleans(),
    answers=st.booleans(),
    phase=st.sampled_from(["starting", "ready", "draining", "failed", "stopped", "x"]),
    exit_code=st.integers(0, 255),
    before=st.integers(0, 9),
    age=st.floats(0, 1000),
)
def test_whatever_is_seen_an_address_is_given_only_where_something_listens(
    *, state: State, deleting: bool, answers: bool, phase: str, exit_code: int, before: int, age: float
):
    of = container(state, **({"name": DELETING} if deleting else {}))
    found = seen(
        of,
        status=status(phase=phase, cause="why") if answers else None,
        answers=answers,
        inspected=inspected(exit_code=exit_code, started_at=NOW - age),
        in_flight_before=before,
    )
    if found.address:
        assert state is State.RUNNING
        assert found.phase in (ReplicaPhase.READY, ReplicaPhase.DRAINING)
    if found.phase is ReplicaPhase.FAILED:
        assert found.cause
    if state is State.RUNNING and not answers:
        assert found.in_flight >= 1
