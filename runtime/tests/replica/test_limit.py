"""Whose memory limit it was that killed a server: a group made for it, the container's own, or the parent's watch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from modelyard_runtime.contract import StartContract
from modelyard_runtime.replica import limit as limits
from modelyard_runtime.replica.limit import MemoryLimit
from modelyard_runtime.replica.memory import MemoryGroup, own_group
from modelyard_runtime.replica.output_log import OutputLog

CONTRACT = StartContract(
    service="s", revision=1, replica="r", run_dir="/r", log_dir="", code_dir="/c", entry="score.py"
)
KILLED = -9


def group(folder: Path, *, limit: str, kills: int, version: int = 2) -> MemoryGroup:
    """Lay out a control group's files as the kernel shows them."""
    folder.mkdir(parents=True, exist_ok=True)
    events, told = (
        ("memory.events", "memory.max") if version > 1 else ("memory.oom_control", "memory.limit_in_bytes")
    )
    (folder / events).write_text(f"low 0\noom {kills}\noom_kill {kills}\n")
    (folder / told).write_text(f"{limit}\n")
    return MemoryGroup(folder, events)


@pytest.mark.parametrize(
    ("own", "where", "version"),
    [
        ("0::/\n", "", 2),
        ("0::/kubepods/pod1\n", "kubepods/pod1", 2),
        ("0::/../../host\n", "", 2),
        ("5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n", "memory", 1),
        ("4:memory:/mine\n0::/\n", "memory/mine", 1),
    ],
)
def test_a_container_finds_its_own_group(tmp_path: Path, own: str, where: str, version: int):
    made = group(tmp_path / where, limit="536870912", kills=3, version=version)
    found = own_group(root=tmp_path, own=own)
    assert found == made
    assert (found.limit(), found.kills()) == (512 << 20, 3)


@pytest.mark.parametrize("own", ["", "0::/\n", "4:memory:/mine\n", "1:name=systemd:/\n"])
def test_where_no_kills_can_be_counted_there_is_no_group(tmp_path: Path, own: str):
    assert own_group(root=tmp_path, own=own) is None


@pytest.mark.parametrize(("told", "version"), [("max", 2), ("9223372036854771712", 1), ("", 2)])
def test_no_limit_is_told_in_different_ways(tmp_path: Path, told: str, version: int):
    assert group(tmp_path, limit=told, kills=0, version=version).limit() == 0


def limited(container: MemoryGroup | None, wanted: int = 0) -> MemoryLimit:
    memory = MemoryLimit(
        dataclasses.replace(CONTRACT, memory_limit_bytes=wanted), OutputLog(), container=container
    )
    memory.prepare()
    return memory


def test_a_kill_for_the_containers_limit_is_told_with_that_limit(tmp_path: Path):
    memory = limited(group(tmp_path, limit="268435456", kills=2))
    assert memory.exceeded(KILLED) == 0  # somebody else killed it
    group(tmp_path, limit="268435456", kills=3)
    assert memory.exceeded(KILLED) == 256 << 20
    assert memory.exceeded(1) == 0  # it was another process that the kernel took
    memory.prepare()
    assert memory.exceeded(KILLED) == 0


def test_a_container_as_tight_as_the_contract_is_left_to_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "make_group", lambda *_: pytest.fail("the container is a group already"))
    assert not limited(group(tmp_path, limit="100", kills=0), wanted=100).is_over(101)


@pytest.mark.parametrize("limit", ["max", "1000"])
def test_a_contract_tighter_than_the_container_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
):
    monkeypatch.setattr(limits, "make_group", lambda *_: None)
    memory = limited(group(tmp_path, limit=limit, kills=0), wanted=100)
    assert not memory.is_over(100)
    assert memory.is_over(101)
    assert memory.exceeded(KILLED) == 100
