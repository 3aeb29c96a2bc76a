"""Places and devices."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import AcceleratorRequest, Candidate, DeviceGrant, Refusal, ResourceSpec
from modelyard.control import Assessment, Walk, choose, requests_of, spend

VETO = Refusal(plugin="cpu", code="cpu_short", message="too small")


@st.composite
def assessments(draw: st.DrawFn) -> list[Assessment]:
    nodes = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8))
    return [
        Assessment(
            candidate=Candidate(node=node, free_millicores=1000, free_memory_bytes=1),
            vetoes=(VETO,) * draw(st.integers(0, 2)),
            score=draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        )
        for node in nodes
    ]


@given(assessments())
def test_a_vetoed_node_is_never_picked(judged: Any):
    placement = choose(judged)
    vetoed = {one.candidate.node for one in judged if one.vetoes}
    assert placement.node not in vetoed
    assert (placement.node is None) == bool(placement.refusals)


@given(assessments())
def test_nothing_open_scores_better_than_what_is_picked(judged: Any):
    placement = choose(judged)
    if placement.node is not None:
        scores = {one.candidate.node: one.score for one in judged if not one.vetoes}
        assert scores[placement.node] == max(scores.values())


@given(assessments(), st.randoms())
def test_the_choice_does_not_depend_on_the_order(judged: Any, random: Any):
    shuffled = list(judged)
    random.shuffle(shuffled)
    assert choose(shuffled).node == choose(judged).node


def test_no_candidate_at_all_is_a_refusal_too():
    assert choose([]).refusals[0].code == "no_candidates"


def test_a_placed_replica_leaves_less_for_the_next():
    left = spend(
        (Candidate(node="a", free_millicores=500, free_memory_bytes=900),),
        "a",
        ResourceSpec(cpu_millicores=200, memory_bytes=400),
    )
    assert (left[0].free_millicores, left[0].free_memory_bytes) == (300, 500)


def test_the_first_granted_wish_wins_and_the_story_says_why_the_earlier_were_not():
    wishes = (AcceleratorRequest(kind="gpu", model="H100"), AcceleratorRequest(kind="cpu"))
    walk = Walk(requests_of(ResourceSpec(accelerator=wishes)))
    assert walk.current is not None
    assert walk.current.kind == "gpu"
    walk = walk.answered(Refusal(plugin="gpu", code="no_gpu", message="0 of 1 H100 free"))
    walk = walk.answered(DeviceGrant(backend="cpu", device_ids=("cpu",)))
    assert walk.current is None
    assert walk.story == "cpu (cpu), because 0 of 1 H100 free"


def test_a_list_of_refused_wishes_grants_nothing():
    walk = Walk(requests_of(ResourceSpec())).answered(VETO)
    assert (walk.grant, walk.current, walk.passed_over) == (None, None, (VETO,))
