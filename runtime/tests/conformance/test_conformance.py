"""We answer as the real v1 server does, field by field, but for the differences that are listed with a reason."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from modelyard_runtime.contract import STATE_FILE, ContractError, read_state

from runtime.tests.behaviour.replicas import START_S
from runtime.tests.conformance.cases import Group
from runtime.tests.conformance.comparing import Fields, Unequal, differing
from runtime.tests.conformance.differences import Everywhere, judge
from runtime.tests.conformance.groups import GROUPS
from runtime.tests.conformance.listed import DIFFERENCES
from runtime.tests.conformance.page import PAGE, page
from runtime.tests.conformance.recording import answers, live, recorded
from runtime.tests.conformance.servers import ours, theirs, until_healthy
from runtime.tests.conformance.start_ups import REFUSED, StartUp, group_of
from runtime.tests.conformance.v1_environment import v1_python

STRICT = "strict-v1"
NAMES = [group.name for group in GROUPS]


def found(group: Group, *, compat: str = "", worker_python: Path | None = None) -> list[Unequal]:
    with ours(group, compat=compat, worker_python=worker_python) as running:
        until_healthy(running)
        seen = answers(running, group)
    return unequal(recorded(group), seen)


def check_against_the_list(group: Group, differences: list[Unequal]) -> None:
    verdict = judge(group.name, differences, DIFFERENCES)
    assert not verdict.unlisted, "\n".join(map(str, verdict.unlisted))
    assert not verdict.stale, "\n".join(map(str, verdict.stale))


def unequal(theirs_: dict[str, Fields], ours_: dict[str, Fields]):
    assert theirs_.keys() == ours_.keys(), "cases changed: write the recording anew"
    return [one for case in theirs_ for one in differing(case, theirs_[case], ours_[case])]


@pytest.mark.parametrize("group", GROUPS, ids=NAMES)
def test_a_replica_differs_from_v1_only_where_the_list_says_so(group: Group):
    check_against_the_list(group, found(group))


@pytest.mark.parametrize("group", GROUPS, ids=NAMES)
def test_with_strict_v1_nothing_differs(group: Group):
    assert found(group, compat=STRICT) == []


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS, ids=NAMES)
def test_worker_processes_in_v1s_own_environment_differ_where_the_list_says_so(group: Group):
    check_against_the_list(group, found(group, worker_python=v1_python()))


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS, ids=NAMES)
def test_with_strict_v1_worker_processes_in_v1s_own_environment_differ_in_nothing(group: Group):
    assert found(group, compat=STRICT, worker_python=v1_python()) == []


def test_each_listed_difference_is_due_in_cases_that_there_are():
    cases = {group.name: {case.name for case in group.cases} for group in GROUPS}
    for entry in DIFFERENCES:
        due = {case for name in cases for case in entry.due(name)}
        where = entry.shown_by[0] if isinstance(entry, Everywhere) else entry.group
        assert due, entry
        assert due <= cases[where], entry


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS, ids=NAMES)
def test_the_recorded_answers_are_those_of_the_real_server(group: Group):
    assert live(group) == recorded(group)


@pytest.mark.parametrize("start_up", REFUSED, ids=[one.name for one in REFUSED])
def test_what_v1_refuses_to_start_is_refused_with_its_cause(start_up: StartUp):
    with ours(group_of(start_up)) as running:
        deadline = time.monotonic() + START_S
        while (cause := cause_of(running.folder)) == "":
            assert running.process.poll() is None, running.log()
            assert time.monotonic() < deadline, running.log()
            time.sleep(0.02)
    assert start_up.said in cause


@pytest.mark.slow
@pytest.mark.parametrize("start_up", REFUSED, ids=[one.name for one in REFUSED])
def test_the_real_server_refuses_them_too(start_up: StartUp):
    with theirs(group_of(start_up), v1_python()) as running:
        assert running.process.wait(START_S) == 3


def test_the_page_of_the_documentation_shows_the_list():
    assert PAGE.read_text(encoding="utf-8") == page()


def cause_of(folder: Path) -> str:
    try:
        state = read_state(folder / "run" / STATE_FILE)
    except ContractError:
        return ""
    return state.cause if state.phase == "failed" else ""
