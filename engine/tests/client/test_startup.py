from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from modelyard.api import (
    Conflict,
    NotFound,
    SystemError_,
    Unavailable,
    UserError,
)
from modelyard.client import Client, presence, startup
from modelyard.processes import Home, ProcessRef, find_home
from modelyard_runtime.contract import start_ticks


@pytest.fixture
def home() -> Iterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))  # socket paths are short
    home = find_home({"MODELYARD_HOME": str(folder)})
    home.create()
    yield home
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "environ",
    [
        {"MODELYARD_HOME": "/srv/engine"},
        {"HOME": "/home/ada"},
        {"HOME": "/home/ada", "XDG_RUNTIME_DIR": "/run/user/7"},
        {"HOME": "/home/ada", "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c"},
    ],
)
def test_the_daemon_is_given_an_environment_in_which_it_finds_the_same_home(environ: dict[str, str]) -> None:
    home = find_home(environ)
    other = {"HOME": "/home/other", "MODELYARD_HOME": "/elsewhere", "PATH": "/bin", "XDG_RUNTIME_DIR": "/x"}
    given = startup.environment_of(home, other)
    assert find_home(given) == home
    assert given["PATH"] == "/bin"


def test_an_environment_that_fits_already_is_left_as_it_is() -> None:
    environ = {"HOME": "/home/ada", "UV_INDEX_URL": "https://example.org"}
    assert startup.environment_of(find_home(environ), environ) == environ


def test_folders_that_no_environment_gives_are_refused(home: Home) -> None:
    with pytest.raises(UserError, match="not an engine's home"):
        startup.environment_of(attrs.evolve(home, cache=Path("/nowhere")), {})


def test_without_a_controller_every_call_says_how_to_start_one(home: Home) -> None:
    with Client(home) as client, pytest.raises(Unavailable, match="not running") as caught:
        client.status()
    assert caught.value.remedy == "engine up"
    with Client(home) as client, pytest.raises(Unavailable, match="not running"):
        next(client.logs("digits"))


def test_a_socket_that_nobody_listens_on_is_an_engine_that_does_not_run(home: Home) -> None:
    import socket

    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(home.controller_socket))
    stale.close()
    with Client(home) as client, pytest.raises(Unavailable, match="not running"):
        client.status()


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_be_another_path_is_not_found(home: Home, name: str) -> None:
    with Client(home) as client, pytest.raises(NotFound):
        client.service(name)


def test_the_daemons_own_last_error_is_raised(home: Home) -> None:
    home.settings_file.write_text("router: {prt: 1}\n")
    with pytest.raises(UserError) as caught:
        startup.start_controller(home)
    assert "prt" in str(caught.value.details())
    assert not home.controller_socket.exists()


def test_a_daemon_that_dies_without_a_word_of_ours_is_reported_with_its_last_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('Traceback (most recent call last):\n{"event": "x"}\nImportError: no such thing\n\n')
    error = startup._why_it_ended(log)
    assert type(error) is SystemError_
    assert "ImportError: no such thing" in error.message


def test_the_error_of_a_daemon_is_found_before_what_the_interpreter_said_last(tmp_path: Path) -> None:
    log = tmp_path / "log"
    error = {"code": "conflict", "message": "m", "place": "p", "remedy": "r", "details": []}
    log.write_text(json.dumps({"error": error}) + "\nException ignored in: <x>\n")
    assert type(startup._why_it_ended(log)) is Conflict


def test_a_report_without_a_controller_asks_the_plugins_once(home: Home) -> None:
    records = {record.name: record for record in startup.report("plugins", home)}
    assert "targets:process" in records["builtin"].offers
    assert not home.controller_socket.exists()


def test_a_report_says_what_is_wrong_with_the_settings(home: Home) -> None:
    home.settings_file.write_text("pluginz: {}\n")
    with pytest.raises(UserError) as caught:
        startup.report("doctor", home)
    assert "pluginz" in str(caught.value.details())


def test_a_pid_file_left_by_a_killed_controller_does_not_count(home: Home) -> None:
    assert not presence.is_present(home)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    presence.announce(home, ProcessRef(ended.pid, 1))
    assert not presence.is_present(home)
    home.run.joinpath("controller.pid").write_text("{")
    assert not presence.is_present(home)


def test_who_waits_for_an_engine_that_goes_on_is_told_where_to_look(home: Home) -> None:
    presence.wait_until_gone(home, timeout_seconds=0)
    presence.announce(home, ProcessRef(os.getpid(), start_ticks(os.getpid())))
    with pytest.raises(Unavailable, match="still stopping") as caught:
        presence.wait_until_gone(home, timeout_seconds=0)
    assert caught.value.place.endswith("controller.log")


def test_importing_the_client_loads_no_heavy_library() -> None:
    heavy = "httpx cattrs grpc litestar rich structlog yaml"
    code = f"import sys, modelyard.client; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
