"""Files that did not change are not read again; files that did always are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from modelyard.api import SnapshotLimits
from modelyard.packaging import Digests, take_model, take_snapshot, taking

LATER_NS = 10_000_000_000


def settled() -> Digests:
    """As if every file had been left alone for a while."""
    return Digests(clock_ns=lambda: 2**62)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    real = taking._digest

    def digest(file: Any, found: Any, before: os.stat_result) -> str:
        seen.append(found.path)
        return real(file, found, before)

    monkeypatch.setattr(taking, "_digest", digest)
    return seen


def test_a_model_is_read_once(tmp_path: Path, reads: list[str]):
    (tmp_path / "weights.bin").write_bytes(b"one")
    digests = settled()
    first = take_model(tmp_path, digests=digests)
    assert take_model(tmp_path / "weights.bin", digests=digests).files == first.files
    assert reads == ["weights.bin"]


def test_a_changed_file_of_the_same_size_and_time_is_read_again(tmp_path: Path, reads: list[str]):
    file = tmp_path / "weights.bin"
    file.write_bytes(b"one")
    digests, before = settled(), file.stat()
    first = take_model(tmp_path, digests=digests)
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert take_model(tmp_path, digests=digests) != first
    assert len(reads) == 2


def test_a_file_that_may_still_change_within_a_tick_is_not_remembered(tmp_path: Path, reads: list[str]):
    (tmp_path / "weights.bin").write_bytes(b"one")
    digests = Digests()
    take_model(tmp_path, digests=digests)
    take_model(tmp_path, digests=digests)
    assert len(reads) == 2


def test_code_is_read_once_too_and_keeps_its_mode(tmp_path: Path, reads: list[str]):
    (tmp_path / "tool.sh").write_text("#!/bin/sh\n")
    digests = settled()
    take_snapshot(tmp_path, SnapshotLimits(), digests=digests)
    (tmp_path / "tool.sh").chmod(0o755)  # changes st_ctime: read again
    (entry,) = take_snapshot(tmp_path, SnapshotLimits(), digests=digests).files
    assert entry.mode == 0o755
    take_snapshot(tmp_path, SnapshotLimits(), digests=digests)
    assert len(reads) == 2


def test_no_more_is_remembered_than_there_is_room_for(tmp_path: Path):
    digests = Digests(capacity=2, clock_ns=lambda: LATER_NS * 2**30)
    facts = []
    for number in range(3):
        file = tmp_path / str(number)
        file.write_text("x")
        facts.append(file.stat())
        digests.keep(facts[-1], str(number))
    assert [digests.find(one) for one in facts] == [None, "1", "2"]
