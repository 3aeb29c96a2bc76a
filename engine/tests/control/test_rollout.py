"""Roll-outs, drains, plans and judgements."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import (
    AcceleratorRequest,
    CodeRef,
    Operation,
    OperationKind,
    OperationState,
    Replica,
    ReplicaPhase,
    ResourceSpec,
    ScalingSpec,
    ServiceSpec,
    ServiceState,
    Setting,
)
from modelyard.control import (
    STEPS,
    DrainFacts,
    DrainStep,
    Installed,
    PlanFacts,
    ServiceFacts,
    build_plan,
    judge,
    missing,
    next_drain_step,
    replicas_for,
    resume_at,
    step_after,
    traffic,
    verdict,
)

NAMES = st.frozensets(st.sampled_from("abcdef"))
SPEC = ServiceSpec(name="digits", code=CodeRef(source="/src", entry="score.py"))
INSTALLED = Installed(
    targets=frozenset({"process"}),
    authenticators=frozenset({"key"}),
    scalers=frozenset({"busy"}),
    device_kinds=frozenset({"cpu"}),
    registries=frozenset({"oci-layout"}),
)


def replica(name: str = "digits-r1-abc123", phase: Any = ReplicaPhase.READY, **changes: object) -> Replica:
    return Replica(id=name, service="digits", revision=1, phase=phase, **changes)


@given(NAMES, NAMES, st.sampled_from(STEPS))
def test_somebody_gets_the_traffic_while_an_old_replica_is_ready(old: Any, new: Any, step: Any):
    got = traffic(old_ready=old, new_ready=new - old, step=step)
    assert got <= old | new
    assert got or not old


@given(NAMES, NAMES, st.sampled_from(STEPS[: STEPS.index("route")]))
def test_a_new_replica_gets_no_traffic_before_the_route_step(old: Any, new: Any, step: Any):
    assert traffic(old_ready=old, new_ready=new, step=step) == old


def test_steps_follow_each_other_to_the_end():
    walked, step = [], STEPS[0]
    while step is not None:
        walked.append(step)
        step = step_after(step)
    assert tuple(walked) == STEPS


@given(st.integers(1, 20), st.integers(0, 20), st.integers(0, 60))
def test_a_new_revision_starts_within_its_bounds(minimum: Any, more: Any, running: Any):
    scaling = ScalingSpec(minimum=minimum, maximum=minimum + more)
    assert minimum <= replicas_for(scaling, running) <= minimum + more


def test_all_planned_ready_is_ready():
    assert verdict(["a", "b"], [replica("a"), replica("b")], waited_s=0, limit_s=10).ready


def test_the_first_failure_is_given_a_second_try():
    first = replica("a", ReplicaPhase.FAILED, cause="init() raised")
    assert not verdict(["a"], [first], waited_s=0, limit_s=10).failed


def test_a_failure_that_nobody_tries_again_fails_at_once():
    dead = attrs.evolve(replica("a", ReplicaPhase.FAILED, cause="the parent died"), retries=False)
    assert verdict(["a"], [dead], waited_s=0, limit_s=10).failed


def test_the_second_failure_fails_with_its_cause_and_remedy():
    dead = replica("a", ReplicaPhase.FAILED, cause="init() raised", remedy="mend it", restarts=1)
    judged = verdict(["a"], [dead], waited_s=0, limit_s=10)
    assert (judged.failed, judged.message, judged.remedy) == (True, "init() raised", "mend it")


def test_too_late_is_failed_and_says_how_long_it_waited():
    judged = verdict(["a"], [], waited_s=15.1, limit_s=10)
    assert judged.failed
    assert judged.message == "0 of 1 replicas became ready in 10 s"


def test_a_strangers_readiness_does_not_count():
    assert not verdict(["a"], [replica("b")], waited_s=0, limit_s=10).ready


@pytest.mark.parametrize("step", STEPS[:6])
def test_an_interrupted_roll_out_without_its_files_rolls_back(step: Any):
    assert resume_at(step, inputs_present=False, source_present=False).step is None
    assert resume_at(step, inputs_present=False, source_present=True).step == "snapshot"
    assert resume_at(step, inputs_present=True, source_present=False).step == step


@pytest.mark.parametrize("step", STEPS[6:])
def test_a_committed_roll_out_is_always_finished(step: Any):
    assert resume_at(step, inputs_present=False, source_present=False).step == step


DRAIN = DrainFacts(
    alive=True,
    was_routed=True,
    acknowledged=True,
    told=True,
    router_in_flight=0,
    replica_in_flight=0,
    waited_s=0,
    deadline_s=60,
)


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({}, DrainStep.STOP),
        ({"acknowledged": False}, DrainStep.WAIT_FOR_ROUTERS),
        ({"told": False}, DrainStep.TELL_REPLICA),
        ({"told": False, "router_in_flight": 1}, DrainStep.WAIT_FOR_IDLE),
        ({"told": False, "router_in_flight": None}, DrainStep.WAIT_FOR_IDLE),
        ({"router_in_flight": 1}, DrainStep.WAIT_FOR_IDLE),
        ({"router_in_flight": None}, DrainStep.WAIT_FOR_IDLE),
        ({"replica_in_flight": 2}, DrainStep.WAIT_FOR_IDLE),
        ({"replica_in_flight": 2, "waited_s": 60}, DrainStep.STOP),
        ({"alive": False, "acknowledged": False}, DrainStep.STOP),
        ({"was_routed": False, "acknowledged": False}, DrainStep.STOP),
    ],
)
def test_a_drain_goes_from_routers_to_replica_to_idle_to_stop(changes: Any, step: Any):
    assert next_drain_step(attrs.evolve(DRAIN, **changes)) is step


@given(st.booleans(), st.booleans(), st.integers(0, 3), st.integers(0, 3), st.floats(0, 59))
def test_nothing_in_flight_is_ever_stopped_before_the_deadline(
    acknowledged: Any, told: Any, router: Any, inside: Any, waited: Any
):
    facts = attrs.evolve(
        DRAIN,
        acknowledged=acknowledged,
        told=told,
        router_in_flight=router,
        replica_in_flight=inside,
        waited_s=waited,
    )
    if next_drain_step(facts) is DrainStep.STOP:
        assert (acknowledged, told, router, inside) == (True, True, 0, 0)


def test_what_is_not_installed_is_refused_with_what_is():
    spec = attrs.evolve(
        SPEC,
        target="kubernetes",
        auth="token",
        scaling=ScalingSpec(scaler="wise"),
        resources=ResourceSpec(accelerator=(AcceleratorRequest(kind="tpu"),)),
    )
    refusals = missing(spec, INSTALLED, registry="s3")
    assert [one.code for one in refusals] == [
        "unknown_target",
        "unknown_auth",
        "unknown_scaler",
        "unknown_registry",
        "unknown_accelerator",
    ]
    assert "installed: key, none" in refusals[1].message


def test_one_installed_kind_of_a_preference_list_is_enough():
    wishes = (AcceleratorRequest(kind="tpu"), AcceleratorRequest(kind="cpu"))
    spec = attrs.evolve(SPEC, auth="none", resources=ResourceSpec(accelerator=wishes))
    assert missing(spec, INSTALLED, registry="oci-layout") == ()


def test_a_plan_shows_each_change_once_and_the_old_value():
    plan = build_plan(
        PlanFacts(
            spec=SPEC,
            revision=2,
            changed_keys=("code", "request.timeout"),
            settings=(Setting("request.timeout", "60s", "default"), Setting("auth", "key", "default")),
            old_settings={"request.timeout": "5s", "auth": "key"},
        )
    )
    assert plan.changes == ("code", "request.timeout")
    assert [one.old for one in plan.settings] == ["5s", None]


def operation(kind: OperationKind, state: OperationState = OperationState.RUNNING) -> Operation:
    return Operation(id="op", service="digits", kind=kind, state=state, revision=1)


@pytest.mark.parametrize(
    ("facts", "state", "message"),
    [
        (ServiceFacts(1, 1, [replica()]), ServiceState.HEALTHY, ""),
        (ServiceFacts(1, 2, [replica()]), ServiceState.UNHEALTHY, "1 of 2 replicas are ready"),
        (ServiceFacts(1, 1, []), ServiceState.FAILED, "no replica is ready"),
        (ServiceFacts(0, 1, [], failure="init() raised"), ServiceState.FAILED, "init() raised"),
        (
            ServiceFacts(1, 1, [replica(phase=ReplicaPhase.FAILED, cause="killed")]),
            ServiceState.FAILED,
            "digits-r1-abc123: killed",
        ),
        (ServiceFacts(1, 1, [replica()], trouble="NACK"), ServiceState.UNHEALTHY, "NACK"),
        (
            ServiceFacts(1, 1, [], operation=operation(OperationKind.DEPLOY)),
            ServiceState.TRANSITIONING,
            "",
        ),
        (ServiceFacts(1, 1, [], operation=operation(OperationKind.DELETE)), ServiceState.DELETING, ""),
        (
            ServiceFacts(1, 1, [replica()], operation=operation(OperationKind.DEPLOY, OperationState.FAILED)),
            ServiceState.HEALTHY,
            "",
        ),
    ],
)
def test_a_service_is_judged_in_one_word_and_one_cause(facts: Any, state: Any, message: Any):
    health = judge(facts)
    assert (health.state, health.message) == (state, message)
