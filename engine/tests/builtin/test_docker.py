"""What `engine doctor` says of the Docker daemon."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from modelyard.api import Finding, Severity
from modelyard.builtin import docker
from modelyard.containers import DaemonFacts
from modelyard.containers.values import facts_of

from engine.tests.containers.fake_daemon import INFO, VERSION, answers, fake_daemon


@pytest.fixture
def short() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def only(address: str) -> Finding:
    (finding,) = docker.daemon({"DOCKER_HOST": address})
    return finding


def facts(**more: Any) -> DaemonFacts:
    return attrs.evolve(facts_of(VERSION, {**INFO, "DockerRootDir": "/"}), **more)


def judged(**more: Any) -> dict[str, Finding]:
    return {one.subject: one for one in docker.judge(facts(**more), "/x.sock")}


def test_a_daemon_is_asked_for_its_version_and_more(short: Path) -> None:
    with fake_daemon(short, answers({"Version": "29.1"})) as address:
        found = docker.daemon({"DOCKER_HOST": address})
    assert found[0].message == "Docker 29.1 answers"
    assert {one.check for one in found} == {"docker"}
    assert "overlay2" in [one.message for one in found]


def test_a_daemon_that_answers_nonsense_is_a_warning(short: Path) -> None:
    with fake_daemon(short, lambda _method, _path: (500, b"No")) as address:
        assert only(address).severity is Severity.WARNING


def test_a_daemon_that_is_too_old_is_a_warning_with_both_versions(short: Path) -> None:
    with fake_daemon(short, answers({"ApiVersion": "1.39"})) as address:
        finding = only(address)
    assert (finding.severity, "1.39" in finding.message) == (Severity.WARNING, True)


def test_a_stale_socket_is_a_warning_and_an_absent_one_only_information(short: Path) -> None:
    path = short / "stale.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    assert only(f"unix://{path}").severity is Severity.WARNING
    assert only(f"unix://{path}.no").severity is Severity.INFO
    assert only("tcp://far:2375").severity is Severity.INFO


def test_what_a_restart_of_the_daemon_does_is_said() -> None:
    assert judged()["restart of the daemon"].severity is Severity.INFO
    assert judged(live_restore=True)["restart of the daemon"].severity is Severity.OK


def test_limits_that_the_kernel_does_not_hold_are_a_warning() -> None:
    found = judged(has_memory_limits=False)
    assert found["memory limits of containers"].severity is Severity.WARNING
    assert found["CPU limits of containers"].severity is Severity.OK


def test_a_rootless_daemon_is_a_warning() -> None:
    assert judged(rootless=True)["/x.sock"].severity is Severity.WARNING


@pytest.mark.parametrize(
    ("mib", "severity"), [(5000, Severity.OK), (1000, Severity.WARNING), (100, Severity.ERROR)]
)
def test_space_is_judged_by_what_is_free(
    monkeypatch: pytest.MonkeyPatch, mib: int, severity: Severity
) -> None:
    monkeypatch.setattr(docker, "free_bytes", lambda _path: mib << 20)
    found = judged()["Docker's folder /"]
    assert (found.severity, f"{mib} MiB free" in found.message) == (severity, True)


def test_whatever_is_wrong_has_a_fix() -> None:
    bad = docker.judge(facts(rootless=True, has_memory_limits=False, has_cpu_limits=False), "/x")
    assert all(one.fix for one in bad if one.severity is not Severity.OK)
