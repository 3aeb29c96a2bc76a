from __future__ import annotations

import os
from pathlib import Path

import pytest
from modelyard.api import RouterSettings, UserError
from modelyard.processes import ProcessRef
from modelyard.router import RouterState, resources
from modelyard.router.memory import (
    SERVING,
    SNAPSHOT_FILE,
    STATE_FILE,
    ParentState,
    read_snapshot,
    read_state,
    write_snapshot,
    write_state,
)
from modelyard.router.places import rotate_log
from modelyard.router.ports import check_port_free

from engine.tests.router.conftest import free_port, service

SNAPSHOT = resources(RouterState("127.0.0.1", 1, (service("a", "unix:/1"),)))


def test_a_snapshot_comes_back_as_it_was(tmp_path: Path):
    write_snapshot(tmp_path, SNAPSHOT)
    assert read_snapshot(tmp_path) == SNAPSHOT


def test_a_snapshot_is_for_its_owner_alone(tmp_path: Path):
    write_snapshot(tmp_path, SNAPSHOT)
    assert (tmp_path / SNAPSHOT_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b"[]"])
def test_a_damaged_snapshot_is_no_snapshot(tmp_path: Path, damage: bytes):
    (tmp_path / SNAPSHOT_FILE).write_bytes(damage)
    assert not read_snapshot(tmp_path).complete


def test_a_snapshot_with_one_letter_changed_is_no_snapshot(tmp_path: Path):
    write_snapshot(tmp_path, SNAPSHOT)
    file = tmp_path / SNAPSHOT_FILE
    version = next(iter(SNAPSHOT.types.values())).version
    file.write_text(file.read_text().replace(version, "0" * len(version)))
    assert not read_snapshot(tmp_path).complete


def test_a_state_comes_back_as_it_was(tmp_path: Path):
    state = ParentState(ProcessRef(1, 2), SERVING, ProcessRef(3, 4), epoch=5, base_id=6, port=7)
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"format": 1}', b'{"format": 1, "parent": {"x": 1}}'])
def test_a_damaged_state_is_no_state(tmp_path: Path, damage: bytes):
    (tmp_path / STATE_FILE).write_bytes(damage)
    assert read_state(tmp_path) is None


def test_a_long_log_is_moved_aside_while_its_writer_goes_on(tmp_path: Path):
    log = tmp_path / "router.log"
    with log.open("a") as writer:
        for number in range(4):
            writer.write(f"line {number}\n" * 10)
            writer.flush()
            rotate_log(log, max_bytes=20, files=3)
    assert log.stat().st_size == 0
    assert [(tmp_path / f"router.log.{n}").read_text().split("\n")[0] for n in (1, 2)] == ["line 3", "line 2"]
    assert not (tmp_path / "router.log.3").exists()


def test_a_port_in_use_is_named_with_its_holder():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError) as caught:
            check_port_free(RouterSettings(port=port))
    assert f"port {port} is in use" in caught.value.message
    assert f"(pid {os.getpid()})" in caught.value.message
    assert "router.port" in caught.value.remedy


def test_a_free_port_is_no_trouble():
    check_port_free(RouterSettings(port=free_port()))
