"""A container's replica, here as a plain process: from its variable to its exit status."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from modelyard_runtime.causes import CauseClass
from modelyard_runtime.contract import START_VARIABLE, StartContract, encode_contract
from modelyard_runtime.replica.ports import free_port

from runtime.tests.behaviour.replicas import tree
from runtime.tests.replica.containers import COMMAND, Contained, contained

TELLS = """
import json, os
def init():
    print("from the script", flush=True)
    print("without an end", end="", flush=True)
def run(data):
    return dict(os.environ)
"""
NAP = "import time\ndef init(): pass\ndef run(data):\n    time.sleep(float(data))\n    return 1\n"
SLOW_START = "import time\ndef init(): time.sleep(60)\ndef run(data): return 1\n"
RAISES = "def init(): raise ValueError('no weights')\ndef run(data): return 1\n"


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_it_serves_what_its_variable_says_and_shows_the_script_none_of_it(isolation: str):
    with contained(TELLS, isolation=isolation, variables={"MINE": "1"}) as one:
        ready = one.ready()
        seen = json.loads(one.ask("POST", "/score", b"x")[1])
        assert seen["MINE"] == "1"
        assert seen["AZUREML_ENTRY_SCRIPT"] == "score.py"
        assert seen["HOME"] == str(one.run_dir / "home")
        assert not [name for name in seen if name.startswith("MODELYARD_START")]
        for pid in tree(ready.server_pid):
            assert f"{START_VARIABLE}=".encode() not in Path(f"/proc/{pid}/environ").read_bytes()
        assert stat.S_IMODE(one.run_dir.stat().st_mode) == 0o700
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(20) == 0
        lines = one.log.splitlines()
        assert "from the script" in lines
        assert any(line.startswith("without an end") for line in lines)
        assert lines[-3:] == [f"modelyard-replica: {phase}" for phase in ("ready", "draining", "stopped")]


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_script_sees_what_its_image_says_unless_the_service_or_v1_says_otherwise(isolation: str):
    image = {
        "LD_LIBRARY_PATH": "/opt/cuda/lib",
        "PYTHONPATH": "/opt/extra",
        "MODE": "image",
        "AML_APP_ROOT": "/var/image",
        "AZUREML_MODEL_DIR": "/var/image/models",
        "MODELYARD_START_FILE": "/no/such",
    }
    with contained(TELLS, isolation=isolation, variables={"MODE": "service"}, image=image) as one:
        one.ready()
        seen = json.loads(one.ask("POST", "/score", b"x")[1])
        assert {name: seen.get(name) for name in image} == {
            "LD_LIBRARY_PATH": "/opt/cuda/lib",
            "PYTHONPATH": "/opt/extra",
            "MODE": "service",
            "AML_APP_ROOT": str(one.folder / "code"),
            "AZUREML_MODEL_DIR": None,
            "MODELYARD_START_FILE": None,
        }


def test_the_status_port_answers_from_the_first_moment_and_counts_requests():
    with contained(NAP) as one:
        assert one.until(lambda status: status.phase in ("starting", "ready"))
        one.ready()
        asking = threading.Thread(target=one.ask, args=("POST", "/score", b"1.5"))
        asking.start()
        assert one.until(lambda status: status.running == 1).queued == 0
        asking.join()
        assert one.until(lambda status: status.running == 0).phase == "ready"


def test_a_replica_that_fails_goes_on_telling_why():
    with contained(RAISES, backoff_initial_s=30) as one:
        failed = one.until(lambda status: status.phase == "failed")
        assert failed.cause.startswith("init() raised ValueError: no weights")
        assert (failed.cause_class, failed.running, failed.queued) == ("init-raised", None, None)
        status, line = one.health()
        assert status == 1
        assert line.startswith("failed: init() raised ValueError: no weights")
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(20) == CauseClass.INIT_RAISED
        assert (one.run_dir / "deaths.jsonl").exists()


def test_a_replica_that_starts_is_well_within_its_time_and_not_past_it():
    with contained(SLOW_START, startup_timeout_s=50) as one:
        one.until(lambda status: status.phase == "starting")
        assert one.health() == (0, "")


def test_a_server_that_hangs_is_answered_for_without_its_numbers():
    with contained(NAP) as one:
        os.kill(one.ready().server_pid, signal.SIGSTOP)
        assert one.until(lambda status: status.running is None).phase == "ready"
        assert one.health() == (0, "")


def test_sigterm_lets_what_runs_end_and_a_second_one_does_not():
    with contained(NAP, max_concurrent=2) as one:
        one.ready()
        got: list[int] = []
        asking = threading.Thread(target=lambda: got.append(one.ask("POST", "/score", b"1")[0]))
        asking.start()
        one.until(lambda status: status.running == 1)
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(20) == 0
        asking.join()
        assert got == [200]
    with contained(NAP) as one:
        one.ready()
        asking = threading.Thread(target=quietly, args=(one, b"30"))
        asking.start()
        one.until(lambda status: status.running == 1)
        one.process.send_signal(signal.SIGTERM)
        one.until(lambda status: status.phase == "draining")
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(20) == CauseClass.REQUESTS_CUT
        asking.join()


def quietly(one: Contained, body: bytes) -> bytes:
    try:
        return one.ask("POST", "/score", body)[1]
    except (OSError, http.client.HTTPException):
        return b""


def test_a_drain_past_its_time_is_cut_and_says_so():
    with contained(NAP, drain_timeout_s=0.5) as one:
        one.ready()
        asking = threading.Thread(target=quietly, args=(one, b"30"))
        asking.start()
        one.until(lambda status: status.running == 1)
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(20) == CauseClass.REQUESTS_CUT
        asking.join()


def test_a_drain_asked_while_it_starts_is_heard_by_the_server():
    with contained("import time\ndef init(): time.sleep(1)\ndef run(data): return 1\n") as one:
        one.until(lambda status: status.phase == "starting")
        one.process.send_signal(signal.SIGUSR1)
        assert one.until(lambda status: status.phase == "draining")
        deadline = time.monotonic() + 20
        while b"draining" not in quietly(one, b"x"):
            assert time.monotonic() < deadline, one.log
            time.sleep(0.02)
        assert one.ask("POST", "/score", b"x")[0] == 503
        assert one.health() == (0, "")


def test_a_signal_that_comes_while_the_parent_loads_is_not_lost():
    program = """
import os, signal, sys
from modelyard_runtime.replica import early
listen = early.listen
def listen_and_be_told():
    listen()
    os.kill(os.getpid(), signal.SIGTERM)
early.listen = listen_and_be_told
from modelyard_runtime.replica import main
sys.exit(main(["--from-environment"]))
"""
    with contained(SLOW_START) as one:
        one.end()
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=one.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert (done.returncode, done.stdout) == (0, "modelyard-replica: stopped\n"), done.stderr


def test_little_is_loaded_before_signals_are_heard():
    program = """
import sys
before = set(sys.modules)
from modelyard_runtime.replica import early, main
loaded = sorted(name for name in set(sys.modules) - before if name.startswith("modelyard_runtime"))
print(loaded, "subprocess" in sys.modules, "json" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    names = [
        "modelyard_runtime",
        *(f"modelyard_runtime.replica{part}" for part in ("", ".command", ".early")),
    ]
    assert done.stdout == f"{names} False False\n"


def run_with(environ: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [*COMMAND, "--from-environment"], env=environ, capture_output=True, text=True, check=False, timeout=30
    )
    return done.returncode, done.stderr


def test_the_page_shows_the_commands_that_are_tested_here():
    page = Path(__file__).parents[3] / "docs" / "explanation" / "replicas-in-containers.md"
    shown = re.findall(r"```bash\n(.*?)\n```", page.read_text(encoding="utf-8"))
    assert shown == [f"python {' '.join(COMMAND[1:])} {word}" for word in ("--from-environment", "--health")]


CONTRACT = StartContract(
    service="s", revision=1, replica="r", run_dir="/proc/none", log_dir="", code_dir="/c", entry="score.py"
)


@pytest.mark.parametrize(
    ("environ", "status", "reason"),
    [
        ({}, 2, "MODELYARD_START is not set: it holds the start contract as JSON"),
        ({START_VARIABLE: "{}"}, 2, "MODELYARD_START: not a version 1 contract"),
        (
            {START_VARIABLE: encode_contract(CONTRACT)},
            CauseClass.CANNOT_START,
            "run_dir /proc/none cannot be written",
        ),
    ],
)
def test_what_cannot_begin_says_why_in_one_line(environ: dict[str, str], status: int, reason: str):
    code, said = run_with(environ)
    assert code == status
    assert said.startswith(f"modelyard-replica: {reason}")
    assert said.count("\n") == 1


def test_a_status_port_that_is_taken_is_named_before_anything_starts(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fields = {**vars(CONTRACT), "run_dir": str(tmp_path)[:80], "status_port": port}
        code, said = run_with({START_VARIABLE: encode_contract(StartContract(**fields))})
    assert code == CauseClass.PORT_IN_USE
    assert f"cannot listen on 127.0.0.1 port {port} for the replica's status" in said


@pytest.mark.parametrize(
    ("host", "reached"),
    [("0.0.0.0", ["127.0.0.1"]), ("::", ["127.0.0.1", "::1"]), ("::1", ["::1"])],  # noqa: S104  # what a container says
)
def test_the_ports_listen_where_the_contract_says(host: str, reached: list[str]):
    with contained(NAP, host=host, port=free_port(host), status_port=free_port(host)) as one:
        ports = {one.contract.port: "/", one.contract.status_port: "/modelyard/replica"}
        deadline = time.monotonic() + 40
        while not all(asked(where, *port) == 200 for where in reached for port in ports.items()):
            assert time.monotonic() < deadline, one.log
            time.sleep(0.05)


def asked(address: str, port: int, path: str) -> int:
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@pytest.mark.parametrize(("method", "path"), [("GET", "/modelyard/status"), ("POST", "/modelyard/drain")])
def test_what_only_the_parent_may_ask_is_not_there_on_the_data_port(method: str, path: str):
    with contained(NAP) as one:
        one.ready()
        for headers in ({}, {"x-forwarded-for": "unix"}, {"x-modelyard-ask": "parent"}):
            assert told(one, method, path, headers)[0] == 404
        assert one.ask("GET", "/")[0] == 200


def told(one: Contained, method: str, path: str, headers: dict[str, str]) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", one.contract.port, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_log_that_nobody_reads_does_not_stop_the_server():
    script = "def init(): pass\ndef run(data):\n    print('x' * 100_000, flush=True)\n    return 1\n"
    read_end, write_end = os.pipe()
    with contained(script, inside=(sys.executable, "-c", REDIRECT, str(write_end)), fds=(write_end,)) as one:
        os.close(write_end)
        one.ready()
        for _ in range(60):
            assert one.ask("POST", "/score", b"x") == (200, b"1")
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(30) == 0
    os.close(read_end)


REDIRECT = "import os, sys; os.dup2(int(sys.argv[1]), 1); os.execv(sys.argv[2], sys.argv[2:])"
"""Start what follows with this descriptor for its output."""
