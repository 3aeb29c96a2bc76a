from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from modelyard.api import Check, Finding, Scaler, Severity, Target
from modelyard.builtin import machine, plugin, programs, services
from modelyard.builtin.checks import machine_checks
from modelyard.processes import Home, ProcessRef, find_home
from modelyard.router.memory import ParentState, write_state
from modelyard_runtime.contract import start_ticks


@pytest.fixture
def home() -> Iterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))  # socket paths are short
    home = find_home({"MODELYARD_HOME": str(folder)})
    home.create()
    yield home
    shutil.rmtree(folder)


def only(findings: tuple[Finding, ...]) -> Finding:
    (finding,) = findings
    return finding


def test_the_plugin_offers_what_the_main_job_needs() -> None:
    assert [one.name for one in plugin.offer_targets()] == ["process", "docker"]
    assert [one.name for one in plugin.offer_scalers()] == ["busy"]
    assert all(isinstance(one, Target) for one in plugin.offer_targets())
    assert all(isinstance(one, Scaler) for one in plugin.offer_scalers())


def test_every_check_finds_something_and_says_how_to_mend_what_is_wrong(home: Home) -> None:
    checks = machine_checks(home, {"HOME": str(home.state), "DOCKER_HOST": "unix:///nowhere.sock"})
    assert len({one.name for one in checks}) == len(checks) == 10
    for check in checks:
        assert isinstance(check, Check)
        for finding in check.run():
            assert finding.check == check.name
            assert finding.message
            assert bool(finding.fix) or finding.severity is Severity.OK


def test_a_fresh_home_is_in_order(home: Home) -> None:
    assert {finding.severity for finding in machine.home_folders(home)} == {Severity.OK}


def test_a_run_folder_open_to_others_is_a_warning(home: Home) -> None:
    home.run.chmod(0o755)
    findings = [one for one in machine.home_folders(home) if one.severity is not Severity.OK]
    assert (only(tuple(findings)).severity, findings[0].fix) == (Severity.WARNING, f"`chmod 700 {home.run}`")


def test_a_home_below_a_file_is_an_error(home: Home) -> None:
    home.settings_file.write_text("")
    broken = attrs.evolve(home, cache=home.settings_file / "cache")
    assert Severity.ERROR in {one.severity for one in machine.home_folders(broken)}


def test_a_socket_path_over_the_systems_limit_is_an_error(home: Home) -> None:
    long = attrs.evolve(home, run=home.run / ("x" * 80))
    assert machine.home_folders(long)[-1].severity is Severity.ERROR


@pytest.mark.parametrize(
    ("mib", "severity"), [(50_000, Severity.OK), (1_999, Severity.WARNING), (10, Severity.ERROR)]
)
def test_free_space_is_judged_by_what_an_environment_needs(mib: int, severity: Severity) -> None:
    assert machine.space_finding("cache", Path("/c"), mib * machine.MIB).severity is severity


def test_a_clock_in_the_past_is_an_error() -> None:
    assert only(machine.clock(0.0)).severity is Severity.ERROR
    assert only(machine.clock(machine.RELEASED_AT + 1.0)).severity is Severity.OK


def cgroups(root: Path, lines: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(lines)
    return root


def test_a_version_two_group_that_hands_memory_down_can_hold_replicas(tmp_path: Path) -> None:
    root = cgroups(tmp_path, "0::/user/engine\n")
    group = root / "sys/fs/cgroup/user"
    (group / "engine").mkdir(parents=True)
    (group / "cgroup.subtree_control").write_text("cpu memory pids\n")
    assert machine.memory_groups(root) == (group,)
    assert only(machine.memory_limits(root)).severity is Severity.OK


def test_a_version_one_group_is_taken_first(tmp_path: Path) -> None:
    root = cgroups(tmp_path, "5:cpu,memory:/docker/x\n0::/\n")
    assert machine.memory_groups(root) == (root / "sys/fs/cgroup/memory/docker/x",)


@pytest.mark.parametrize("lines", ["0::/\n", "3:cpu:/\n"])
def test_without_a_group_memory_is_watched_instead(tmp_path: Path, lines: str) -> None:
    finding = only(machine.memory_limits(cgroups(tmp_path, lines)))
    assert (finding.severity, "watching" in finding.message) == (Severity.INFO, True)


def test_a_machine_without_proc_has_no_group(tmp_path: Path) -> None:
    assert machine.memory_groups(tmp_path) == ()


def test_a_broken_python_is_an_error(tmp_path: Path) -> None:
    assert only(programs.libpython(tmp_path / "python")).severity is Severity.ERROR


def test_a_python_without_the_shared_library_is_a_warning_that_names_the_package(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    facts = {
        "path": sys.executable,
        "version": "3.11.0",
        "abi": "cp311",
        "libc": "",
        "shared_libpython": False,
        "implementation": "cpython",
    }
    fake.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(facts)}\nEND\n")
    fake.chmod(0o755)
    finding = only(programs.libpython(fake))
    assert finding.severity is Severity.WARNING
    assert "libpython3." in finding.fix


def test_the_binaries_that_came_with_the_engine_are_found() -> None:
    assert only(programs.uv()).severity is Severity.OK
    assert only(programs.envoy()).severity is Severity.OK


@pytest.fixture
def taken_port(home: Home) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        home.settings_file.write_text(f"router: {{port: {port}}}\n")
        yield port


@pytest.mark.usefixtures("taken_port")
def test_a_port_somebody_else_holds_is_an_error(home: Home) -> None:
    finding = only(programs.router_port(home))
    assert (finding.severity, finding.message) == (Severity.ERROR, "another program listens there")


@pytest.mark.usefixtures("taken_port")
def test_a_port_our_own_router_holds_is_fine(home: Home) -> None:
    own = ProcessRef(os.getpid(), start_ticks(os.getpid()))
    write_state(home.router_state, ParentState(parent=own, phase="serving"))
    assert only(programs.router_port(home)).severity is Severity.OK


def test_settings_that_cannot_be_read_are_an_error_of_the_port(home: Home) -> None:
    home.settings_file.write_text("router: []\n")
    assert only(programs.router_port(home)).severity is Severity.ERROR


def kubeconfig(path: Path, server: str) -> Path:
    raw = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "secret-token"}}],
    }
    path.write_text(json.dumps(raw))
    return path


def test_a_cluster_whose_api_host_answers_is_fine(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = f"https://127.0.0.1:{listener.getsockname()[1]}"
        finding = only(services.kubernetes({"KUBECONFIG": str(kubeconfig(tmp_path / "config", server))}))
    assert (finding.severity, finding.subject) == (Severity.OK, server)


def test_a_cluster_out_of_reach_is_a_warning_and_no_token_is_shown(tmp_path: Path) -> None:
    config = kubeconfig(tmp_path / "config", "https://127.0.0.1:9")
    finding = only(services.kubernetes({"KUBECONFIG": str(config)}))
    assert finding.severity is Severity.WARNING
    assert "secret-token" not in repr(finding)


@pytest.mark.parametrize("text", ["{", "[]", "a: *b", "current-context: x\n", ""])
def test_a_kubeconfig_that_says_nothing_useful_is_a_warning(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    finding = only(services.kubernetes({"KUBECONFIG": str(tmp_path / "config")}))
    assert finding.severity is Severity.WARNING


def test_no_kubeconfig_is_only_information(tmp_path: Path) -> None:
    assert only(services.kubernetes({"HOME": str(tmp_path)})).severity is Severity.INFO


def test_of_several_kubeconfigs_the_first_that_sets_a_thing_wins() -> None:
    first = {"current-context": "b", "clusters": [{"name": "k", "cluster": {"server": "one"}}]}
    second = {
        "current-context": "a",
        "contexts": [{"name": "b", "context": {"cluster": "k"}}],
        "clusters": [{"name": "k", "cluster": {"server": "two"}}],
    }
    assert services.current_server([first, second]) == "one"
