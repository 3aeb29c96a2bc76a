"""What a container's health check says: the judgement, and the command's exit status with its one line."""

from __future__ import annotations

import dataclasses
import socket
import threading

import pytest
from modelyard_runtime.contract import START_VARIABLE, ReplicaStatus, StartContract, encode_contract
from modelyard_runtime.replica.health import check, why_unwell
from modelyard_runtime.replica.status_port import StatusPort, listen

STATUS = ReplicaStatus(
    service="s", revision=1, replica="r", phase="ready", parent_pid=1, parent_start_ticks=7, phase_at=100.0
)
CONTRACT = StartContract(
    service="s", revision=1, replica="r", run_dir="/r", log_dir="", code_dir="/c", entry="score.py"
)


@pytest.mark.parametrize(
    ("phase", "now", "reason"),
    [
        ("ready", 1e9, ""),
        ("draining", 1e9, ""),
        ("starting", 110, ""),
        ("starting", 116, "starting for 16 s, 10 s are allowed"),
        ("failed", 100, "failed: init() raised"),
        ("stopped", 100, "stopped: init() raised"),
        ("singing", 100, "singing: init() raised"),
    ],
)
def test_who_serves_drains_or_starts_in_time_is_well(phase: str, now: float, reason: str):
    status = dataclasses.replace(STATUS, phase=phase, cause="init() raised")
    assert why_unwell(status, startup_timeout_s=10, now=now) == reason


def environment(**fields: object) -> dict[str, str]:
    return {START_VARIABLE: encode_contract(dataclasses.replace(CONTRACT, **fields))}


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])  # noqa: S104  # asked from this machine
def test_the_command_asks_where_the_parent_listens(host: str, capsys: pytest.CaptureFixture[str]):
    listener = listen(host, 0)
    StatusPort(listener, lambda: STATUS).start()
    assert check(environment(host=host, status_port=listener.getsockname()[1])) == 0
    assert capsys.readouterr().out == ""


def test_a_cause_of_many_lines_is_told_in_one(capsys: pytest.CaptureFixture[str]):
    listener = listen("127.0.0.1", 0)
    failed = dataclasses.replace(STATUS, phase="failed", cause="init() raised\nValueError: no")
    StatusPort(listener, lambda: failed).start()
    assert check(environment(status_port=listener.getsockname()[1])) == 1
    assert capsys.readouterr().out == "failed: init() raised ValueError: no\n"


def test_a_parent_that_does_not_answer_is_not_well(port: int, capsys: pytest.CaptureFixture[str]):
    assert check(environment(status_port=port)) == 1
    assert "the replica's parent does not answer on port" in capsys.readouterr().out


def test_somebody_else_on_the_port_is_not_the_parent(capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            caller, _ = other.accept()
            with caller:
                caller.recv(4096)
                caller.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

        threading.Thread(target=answer, daemon=True).start()
        assert check(environment(status_port=other.getsockname()[1])) == 1
    assert "the replica's status: not a version 1 contract" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environ", "reason"),
    [({}, "MODELYARD_START: Expecting value"), (environment(), "names no status_port to ask")],
)
def test_without_a_contract_or_a_port_there_is_nothing_to_ask(
    environ: dict[str, str], reason: str, capsys: pytest.CaptureFixture[str]
):
    assert check(environ) == 1
    assert reason in capsys.readouterr().out
