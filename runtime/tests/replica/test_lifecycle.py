"""The replica's state machine, and the small decisions around it."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.causes import CauseClass
from modelyard_runtime.contract import Probe, StartContract, write_contract
from modelyard_runtime.replica.lifecycle import (
    Action,
    DrainAsked,
    Failed,
    Life,
    Phase,
    Polled,
    Probed,
    StopAsked,
    Tick,
    WarmedUp,
    advance,
    begin,
)
from modelyard_runtime.replica.logs import RotatingLog
from modelyard_runtime.replica.memory import make_group, spell
from modelyard_runtime.replica.server import Server, in_words

CONTRACT = StartContract(
    service="s", revision=1, replica="r", run_dir="/r", log_dir="/l", code_dir="/c", entry="score.py",
    startup_timeout_s=10, drain_timeout_s=20, backoff_initial_s=1, backoff_max_s=8, probe=Probe(failure_threshold=2),
)  # fmt: skip
WITH_SAMPLE = StartContract(
    service="s",
    revision=1,
    replica="r",
    run_dir="/r",
    log_dir="/l",
    code_dir="/c",
    entry="e",
    sample="/s.json",
)

EVENTS = st.sampled_from(
    [
        Polled(ready=True, in_flight=0),
        Polled(ready=False, in_flight=3),
        WarmedUp(),
        WarmedUp("no"),
        Failed("died"),
        Probed(alive=True),
        Probed(alive=False),
        DrainAsked(stop=False),
        DrainAsked(stop=True),
        StopAsked(),
        Tick(),
    ]
)


def live(*events: Any, contract: Any = CONTRACT) -> Any:
    life, actions = begin(0)
    for now_s, event in events:
        life, actions = advance(life, event, contract, now_s)
    return life, actions


READY = Polled(ready=True, in_flight=0)


def test_a_replica_is_ready_once_its_server_says_so():
    assert live((1, Polled(ready=False, in_flight=0)))[0].phase is Phase.STARTING
    assert live((1, READY))[0].phase is Phase.READY


def test_a_sample_is_scored_once_before_ready():
    life, actions = live((1, READY), contract=WITH_SAMPLE)
    assert (life.phase, actions) == (Phase.STARTING, (Action.WARM_UP,))
    assert advance(life, READY, WITH_SAMPLE, 2)[1] == ()
    assert advance(life, WarmedUp(), WITH_SAMPLE, 2)[0].phase is Phase.READY


def test_a_sample_that_fails_is_the_cause():
    life, actions = live((1, READY), (2, WarmedUp("answered 500")), contract=WITH_SAMPLE)
    assert (life.phase, life.cause, actions) == (Phase.FAILED, "answered 500", (Action.KILL_SERVER,))


def test_an_init_that_never_ends_is_cut_at_the_limit():
    life, actions = live((10.1, Tick()))
    assert life.cause == "init() did not finish in 10 s"
    assert actions == (Action.KILL_SERVER,)


def test_a_failure_restarts_after_its_back_off_and_keeps_its_cause():
    life, _ = live((1, READY), (2, Failed("died", exit_status=-9)))
    assert advance(life, Tick(), CONTRACT, 2.9)[1] == ()
    life, actions = advance(life, Tick(), CONTRACT, 3.0)
    assert (life.phase, life.restarts, life.cause, actions) == (
        Phase.STARTING,
        1,
        "died",
        (Action.START_SERVER,),
    )


@given(st.integers(1, 10_000))
def test_the_back_off_doubles_up_to_its_limit(failures: Any):
    assert 1 <= CONTRACT.backoff_s(failures) <= CONTRACT.backoff_s(failures + 1) <= 8


def test_a_minute_of_health_starts_the_back_off_anew():
    life = Life(phase=Phase.READY, since_s=0, failures=5)
    assert advance(life, Failed("x"), CONTRACT, 59)[0].failures == 6
    assert advance(life, Failed("x"), CONTRACT, 60)[0].failures == 1


def test_liveness_needs_misses_in_a_row():
    miss, hit = (3, Probed(alive=False)), (3, Probed(alive=True))
    assert live((1, READY), miss, hit, miss)[0].phase is Phase.READY
    assert live((1, READY), miss, miss)[0].phase is Phase.FAILED


def test_a_server_whose_workers_died_is_starting_until_it_is_ready_again():
    life, actions = live((1, READY), (2, Polled(ready=False, in_flight=0)))
    assert (life.phase, actions) == (Phase.STARTING, ())
    assert advance(life, READY, CONTRACT, 3)[0].phase is Phase.READY


def test_workers_that_never_come_back_cost_the_server():
    life, actions = live((1, READY), (2, Polled(ready=False, in_flight=0)), (12.1, Tick()))
    assert (life.phase, life.cause_class) == (Phase.FAILED, CauseClass.INIT_TIMED_OUT)
    assert actions == (Action.KILL_SERVER,)


def test_a_server_that_was_ready_is_drained_even_while_it_is_not():
    life, _ = live((1, READY), (2, Polled(ready=False, in_flight=3)), (3, DrainAsked(stop=True)))
    assert life.phase is Phase.DRAINING
    assert live((1, DrainAsked(stop=True)))[0].phase is Phase.STOPPED


def test_a_drain_stops_the_server_only_once_it_is_idle_twice():
    life, actions = live((1, READY), (2, DrainAsked(stop=True)))
    assert actions == (Action.TELL_DRAIN,)
    busy, idle = Polled(ready=False, in_flight=1), Polled(ready=False, in_flight=0)
    for event in (busy, idle, busy, idle):
        life, actions = advance(life, event, CONTRACT, 3)
        assert actions == ()
    assert advance(life, idle, CONTRACT, 3)[1] == (Action.STOP_SERVER, Action.EXIT)


def test_a_drain_without_stop_never_ends_by_itself():
    life, _ = live(
        (1, READY), (2, DrainAsked(stop=False)), (3, Polled(ready=False, in_flight=0)), (900, Tick())
    )
    assert life.phase is Phase.DRAINING
    assert advance(life, DrainAsked(stop=True), CONTRACT, 901)[0].stopping


def test_a_drain_past_its_limit_stops_and_says_so():
    life, actions = live((1, READY), (2, DrainAsked(stop=True)), (22.1, Tick()))
    assert (life.phase, actions) == (Phase.STOPPED, (Action.STOP_SERVER, Action.EXIT))
    assert "20 s" in life.cause


def test_a_second_request_to_end_ends_at_once():
    assert live((1, READY), (2, DrainAsked(stop=True)), (2, DrainAsked(stop=True)))[0].phase is Phase.STOPPED


@given(st.lists(st.tuples(st.floats(0, 100), EVENTS), max_size=30), st.sampled_from([CONTRACT, WITH_SAMPLE]))
def test_whatever_happens_a_stopped_replica_stays_stopped_and_a_draining_one_is_never_ready_again(
    events: Any, contract: Any
):
    life, now_s = begin(0)[0], 0.0
    for wait_s, event in events:
        now_s += wait_s
        before = life
        life, actions = advance(life, event, contract, now_s)
        if before.phase is Phase.STOPPED:
            assert (life, actions) == (before, ())
        if before.phase is Phase.DRAINING:
            assert life.phase in (Phase.DRAINING, Phase.STOPPED)
        assert (Action.START_SERVER in actions) == (
            before.phase is Phase.FAILED and life.phase is Phase.STARTING
        )


@pytest.mark.parametrize(
    ("status", "words"),
    [(3, "exited with code 3"), (-9, "was killed by SIGKILL"), (-99, "was killed by signal 99")],
)
def test_an_end_is_told_in_words(status: Any, words: Any):
    assert in_words(status) == words


@pytest.mark.parametrize(("size", "text"), [(512 << 20, "512Mi"), (2 << 30, "2Gi"), (1000, "1000")])
def test_sizes_are_spelt_as_kubernetes_does(size: Any, text: Any):
    assert spell(size) == text


def test_without_a_group_what_is_resident_over_the_limit_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("modelyard_runtime.replica.limit.make_group", lambda *_: None)
    fields = {"run_dir": str(tmp_path), "log_dir": str(tmp_path), "code_dir": str(tmp_path)}
    contract = dataclasses.replace(CONTRACT, memory_limit_bytes=1 << 20, **fields)
    write_contract(contract, tmp_path / "start.json")
    (tmp_path / "e.py").write_text("")
    log = RotatingLog(tmp_path, max_bytes=10_000, files=1)
    server = Server(contract, tmp_path / "start.json", log, ear=sys.stderr.fileno())
    server.start()
    assert not server.over_limit(1 << 20)
    assert server.over_limit((1 << 20) + 1)
    deadline = time.monotonic() + 10
    while (death := server.death()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (death.cause, death.cause_class) == (
        "killed: memory limit 1Mi exceeded",
        CauseClass.OUT_OF_MEMORY,
    )


def test_a_group_that_cannot_be_made_is_none_and_leaves_nothing(tmp_path: Path):
    (tmp_path / "memory/mine").mkdir(parents=True)
    assert make_group("r", 1 << 20, root=tmp_path, own="4:memory:/mine\n") is None
    assert make_group("r", 1 << 20, root=tmp_path, own="0::/mine\n") is None
    assert list((tmp_path / "memory/mine").iterdir()) == []


@given(st.lists(st.binary(max_size=60), max_size=40), st.integers(20, 50), st.integers(1, 4))
def test_logs_never_pass_their_limits_and_keep_the_newest(
    tmp_path_factory: Any, pieces: Any, max_bytes: Any, files: Any
):
    folder = tmp_path_factory.mktemp("log")
    log = RotatingLog(folder, max_bytes=max_bytes, files=files)
    for piece in pieces:
        log.write(piece)
    log.close()
    parts = sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name), reverse=True)
    assert len(parts) <= files
    assert all(path.stat().st_size <= max_bytes for path in parts)
    kept = b"".join(path.read_bytes() for path in parts)
    assert b"".join(pieces).endswith(kept)
