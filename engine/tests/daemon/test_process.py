from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from modelyard.api import EngineSettings, PluginSettings, Unavailable
from modelyard.client import Client, presence, start_controller
from modelyard.daemon.__main__ import settings_with
from modelyard.processes import Home

SECONDS = 20.0


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def started(home: Home, free_port: int) -> Iterator[Client]:
    client = start_controller(home, router_port=free_port)
    yield client
    with contextlib.suppress(Unavailable):
        client.shutdown()
    client.close()


def test_the_command_line_overrides_the_settings_file_and_never_loosens_it() -> None:
    strict = EngineSettings(plugins=PluginSettings(strict=True, disabled=frozenset({"gpu"})))
    given = settings_with(strict, address="::1", port=9000, strict=False)
    assert (given.router.address, given.router.port) == ("::1", 9000)
    assert given.plugins == strict.plugins
    assert settings_with(EngineSettings(), address=None, port=None, strict=False) == EngineSettings()
    assert settings_with(EngineSettings(), address=None, port=None, strict=True).plugins.strict


@pytest.mark.parametrize("argv", [[], ["serve", "--port", "1"], ["report", "weather", "--output", "x"]])
def test_a_wrong_command_line_is_refused(argv: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "modelyard.daemon", *argv], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"usage" in done.stderr


@pytest.mark.e2e
def test_in_a_container_a_signal_ends_the_router_too_and_the_log_is_seen(home: Home, free_port: int) -> None:
    environ = os.environ | {"MODELYARD_HOME": str(home.state)}
    argv = [sys.executable, "-m", "modelyard.daemon", "serve", "--contained", "--router-port", str(free_port)]
    daemon = subprocess.Popen(argv, env=environ, stderr=subprocess.PIPE)
    eventually(lambda: presence.is_present(home))
    with Client(home) as client:
        router = client.status().router.pid
    assert router is not None
    daemon.send_signal(signal.SIGTERM)
    _, told = daemon.communicate(timeout=SECONDS)
    assert daemon.returncode == 0
    assert not os.path.exists(f"/proc/{router}")  # noqa: PTH110  no file of ours
    seen, kept = (
        [json.loads(line)["event"] for line in text.splitlines()]
        for text in (told, (home.logs / "controller.log").read_bytes())
    )
    assert seen == kept
    assert seen[-1] == "stopped"


# httpx leaves its socket open when the controller dies between our knock and its connect.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.e2e
def test_the_life_of_a_daemon(home: Home, free_port: int, started: Client) -> None:
    status = started.status()
    assert status.home == str(home.state)
    assert status.router.url == f"http://127.0.0.1:{free_port}"
    assert {record.name for record in started.plugins()} >= {"builtin", "cpu", "auth", "registry"}

    # starting again finds the one that runs
    with start_controller(home) as again:
        assert again.status().pid == status.pid

    # a second one beside it gives up, and says who runs
    environ = os.environ | {"MODELYARD_HOME": str(home.state)}
    argv = [sys.executable, "-m", "modelyard.daemon", "serve"]
    second = subprocess.run(argv, env=environ, capture_output=True, check=False, timeout=SECONDS)
    assert second.returncode == 1
    error = json.loads(second.stderr.splitlines()[-1])["error"]
    assert error["code"] == "conflict"
    assert str(status.pid) in error["message"]

    # SIGTERM ends the controller and leaves the router running, for the next one to adopt
    os.kill(status.pid, signal.SIGTERM)
    eventually(lambda: not presence.is_present(home))
    with start_controller(home, router_port=free_port) as next_one:
        adopted = next_one.status()
        assert adopted.pid != status.pid
        assert adopted.router.pid == status.router.pid

        # kill -9: the socket and the pid file are left behind and mislead nobody
        os.kill(adopted.pid, signal.SIGKILL)
        eventually(lambda: not presence.is_present(home))
        with pytest.raises(Unavailable):
            next_one.status()
    with start_controller(home, router_port=free_port) as last:
        assert last.status().router.pid == status.router.pid
        last.shutdown()
    assert not presence.is_present(home)
    assert not home.controller_socket.exists()
    lines = [json.loads(line) for line in (home.logs / "controller.log").read_text().splitlines()]
    assert [line["event"] for line in lines].count("stopped") == 2
    gc.collect()  # while such a socket is still forgiven
