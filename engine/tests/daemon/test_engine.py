from __future__ import annotations

import os
from typing import Any

import pytest
from modelyard import Engine
from modelyard.api import Conflict, StoreDamaged, SystemError_, Unavailable, UserError
from modelyard.client import Client, presence
from modelyard.processes import Home, find_home


def test_an_engine_answers_inside_its_block_and_is_gone_after_it(home: Home, fakes: Any) -> None:
    with Engine(home, wiring=fakes.wiring) as engine:
        assert engine.client.status().home == str(home.state)
        assert presence.is_present(home)
    assert not presence.is_present(home)
    assert not home.controller_socket.exists()
    assert fakes.hosts_closed == 1
    with Client(home) as client, pytest.raises(Unavailable, match="not running"):
        client.status()


@pytest.mark.parametrize("keep_running", [True, False])
def test_leaving_the_block_stops_everything_unless_told_otherwise(
    home: Home, fakes: Any, *, keep_running: bool
) -> None:
    with Engine(home, wiring=fakes.wiring, keep_running=keep_running):
        pass
    assert fakes.closed == [(not keep_running, not keep_running)]


def test_an_engine_may_be_started_again(home: Home, fakes: Any) -> None:
    engine = Engine(home, wiring=fakes.wiring)
    for _ in range(2):
        with engine:
            assert engine.client.status().pid == 7
    assert len(fakes.closed) == 2


def test_plugins_find_the_engines_own_home_and_the_program_keeps_its_environment(
    home: Home, fakes: Any
) -> None:
    before = dict(os.environ)
    with Engine(home.state, wiring=fakes.wiring):
        assert fakes.seen_home == home != find_home(os.environ)
        assert dict(os.environ) == before


def test_a_second_engine_of_the_same_home_is_a_conflict_that_names_the_first(
    home: Home, fakes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.daemon.serving.LOCK_SECONDS", 0.1)
    with Engine(home, wiring=fakes.wiring) as first:
        with pytest.raises(Conflict, match=f"process {os.getpid()}"):
            Engine(home, wiring=fakes.wiring).start()
        assert first.client.status().pid == 7


def test_what_keeps_an_engine_from_starting_is_raised_where_it_is_started(home: Home, fakes: Any) -> None:
    fakes.open_failure = StoreDamaged("the store is damaged", place="store.sqlite3", remedy="restore it")
    with pytest.raises(StoreDamaged, match="restore it"):
        Engine(home, wiring=fakes.wiring).start()
    assert fakes.hosts_closed == 1
    assert not presence.is_present(home)
    fakes.open_failure = None
    with Engine(home, wiring=fakes.wiring) as engine:
        assert engine.client.status().pid == 7


def test_what_goes_wrong_at_the_end_is_raised_and_the_home_is_free_again(home: Home, fakes: Any) -> None:
    fakes.close_failure = SystemError_("a replica did not stop")
    engine = Engine(home, wiring=fakes.wiring)
    engine.start()
    with pytest.raises(SystemError_, match="did not stop"):
        engine.close()
    engine.close()
    assert not presence.is_present(home)
    fakes.close_failure = None
    with Engine(home, wiring=fakes.wiring):
        pass


def test_a_caller_may_stop_an_engine_over_its_client(home: Home, fakes: Any) -> None:
    with Engine(home, wiring=fakes.wiring) as engine:
        engine.client.shutdown(stop_replicas=False, stop_router=True)
        assert not presence.is_present(home)
    assert fakes.closed == [(False, True)]


def test_settings_with_a_mistake_stop_the_start_before_anything_runs(home: Home, fakes: Any) -> None:
    home.settings_file.write_text("routr: {}\n")
    with pytest.raises(UserError):
        Engine(home, wiring=fakes.wiring).start()
    assert fakes.seen_home is None


def test_an_engine_that_was_not_started_has_no_client(home: Home) -> None:
    with pytest.raises(Unavailable, match="not running"):
        _ = Engine(home).client
